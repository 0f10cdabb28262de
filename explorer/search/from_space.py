"""The search that a search space describes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from explorer.search.book import REACHED, REASON, RUNGS, StudyBook
from explorer.search.filling import Filling, Reached
from explorer.search.focus import Focus, conditioned_focus, gap_focus
from explorer.search.ladder import Arrival, Climber, Ladder
from explorer.search.search import Params, Search
from explorer.spec.check import FILE_PATHS
from explorer.spec.draws import default_point
from explorer.spec.fields import leaf_paths, value_at
from explorer.spec.fork import Fork
from explorer.spec.plan import can_fork
from explorer.spec.space import SearchSpace

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

LOGARITHMIC = ("gflops",)  # objectives of which twice as much is as much more whatever it is of, as in the hypervolume


def search_of(space: SearchSpace) -> Search:
    """What to ask and tell about; the configuration's own values are the first point.

    Raises:
        UserError: a sweep of ``warm_start`` does not exist or does not fit.
    """
    first = _first_points(space)
    return Search(
        name=space.name,
        search=space.search,
        objectives=space.objectives,
        constraints=space.parsed_constraints,
        sampler=space.sampler,
        seed=space.seed,
        first_points=first if space.budget.trials != 0 else (),
        earlier=lambda: _earlier(space),
        identity=identity(space),
        canonical=space.canonical,
        focus=_focus(space),
        lag=space.resources.groups if space.order == "strict" else None,
        cohort=space.cohort,
    )


def ladder_of(space: SearchSpace, book: StudyBook) -> Ladder | None:
    """Where the trials of a study stand on the rungs; None without early stopping."""
    if space.early_stopping is None:
        return None
    return Ladder(
        maximise=[way == "max" for way in space.objectives.values()],
        logarithmic=[metric in LOGARITHMIC for metric in space.objectives],
        reduction_factor=space.early_stopping.reduction_factor,
        cohort=space.cohort,
        trials={
            number: Climber(
                state=state,
                reason=str(notes.get(REASON, "")),
                arrivals={name: Arrival.of(raw) for name, raw in notes.get(RUNGS, {}).items()},
            )
            for number, state, notes in book.begun()
        },
    )


def _first_points(space: SearchSpace) -> list[dict[str, Any]]:
    """The configuration's own point, then the given ones; one that names a weight is an independent trial."""
    default, found = default_point(space), space.conditioning()
    points = [default]
    for point in space.first_points:
        independent = {found.field: found.off} if found and set(point) & set(found.covers) else {}
        points.append(dict(space.canonical({**default, **independent, **point})))
    return points


def _focus(space: SearchSpace) -> Callable[[Sequence[FrozenTrial], Sequence[Params], int], Sequence[Focus]]:
    """What is settled for a trial before the sampler is asked."""
    found, gaps = space.conditioning(), space.fill_gaps
    if found is None and gaps is None:
        return lambda complete, begun, number: ()
    pace = gaps.model_dump(include={"after", "every"}) if gaps else {}
    filling = Filling(
        search=space.search,
        weights=space.weights(),
        constraints=space.parsed_constraints,
        can_fork=lambda params: gaps is not None and gaps.fork is not None and can_fork(space, params),
        **pace,
    )

    def settled(complete: Sequence[FrozenTrial], begun: Sequence[Params], number: int) -> Sequence[Focus]:
        measured = [
            Reached(
                trial=trial.number, params=trial.params, fork=Fork.of(trial.user_attrs), **trial.user_attrs[REACHED]
            )
            for trial in complete
            if REACHED in trial.user_attrs
        ]
        if found is not None:
            return conditioned_focus(found, filling, measured, begun)
        return gap_focus(filling, measured, begun, number=number)

    return settled


def _earlier(space: SearchSpace) -> list[dict[str, Any]]:
    from explorer.search.earlier import earlier_trials

    runs = space.folder.parent
    found = [earlier_trials(sweep, space.search, space.objectives, runs=runs) for sweep in space.warm_start]
    return [trial for of_one in found for trial in of_one]


def identity(space: SearchSpace) -> dict[str, Any]:
    """What may not change between the beginning of a sweep and its resumption, one entry a value.

    Budget, resources, storage and tracking may; not the number of groups in strict order, which says what each trial knows.
    So may the place of the manifest, but not what it holds: trials on other videos would be compared with each other.
    """
    files = {".".join(path) for path in FILE_PATHS}
    flat = {
        "system": space.system,
        "data (content of manifest and files)": space.load_system().data_fingerprint(space.base_config()),
        "objectives": dict(space.objectives),
        "constraints": list(space.constraints),
        "sampler": space.sampler,
        "seed": space.seed,
        **({"first_points": list(space.first_points)} if space.first_points else {}),
        **({"warm_start": list(space.warm_start)} if space.warm_start else {}),
        **({"fill_gaps": space.fill_gaps.model_dump()} if space.fill_gaps else {}),
        **({"early_stopping": space.early_stopping.model_dump()} if space.early_stopping else {}),
        **({"preview": space.preview.model_dump()} if space.preview else {}),
        **({"order": f"strict, {space.resources.groups} at a time"} if space.order == "strict" else {}),
        **{f"search.{path}": dimension.raw() for path, dimension in space.search.items()},
        **{path: value_at(space.config, path) for path in leaf_paths(space.config) if path not in files},
    }
    normal: dict[str, Any] = json.loads(json.dumps(flat))
    return normal
