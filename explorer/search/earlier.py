"""What an earlier sweep found, for the sampler of a new one to start from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from explorer.errors import UserError
from explorer.records import SPACE_FILE, STUDY_FILE, find_sweep
from explorer.search.reader import read_study
from explorer.spec.dimension import Dimension
from trainables.contract import Json


def earlier_trials(
    sweep: str, search: Mapping[str, Dimension], objectives: Mapping[str, str], *, runs: Path
) -> list[dict[str, Json]]:
    """The complete trials of ``sweep`` that lie inside ``search``, as ``{"params": {path: value}, "values": [...]}``.

    ``sweep``: a folder, or a name below ``runs``. A trial that does not give every searched field, or gives a value outside its
    dimension, is left out.

    Raises:
        NotFound: there is no such sweep.
        UserError: it has other objectives, or none of its trials fits.
    """
    folder = find_sweep(sweep, runs)
    space = yaml.safe_load((folder / SPACE_FILE).read_text(encoding="utf-8"))
    if dict(space["objectives"]) != dict(objectives):
        raise UserError(
            f"warm_start: {sweep} has the objectives {space['objectives']}, this sweep {dict(objectives)}; "
            "name sweeps with the same ones"
        )
    fixed = {path: _at(space, path) for path in search}
    found = []
    for trial in read_study(folder / STUDY_FILE):
        params = {path: trial.params.get(path, fixed[path]) for path in search}
        if trial.values is not None and all(search[p].nearest(v) == v for p, v in params.items()):
            found.append({"params": params, "values": list(trial.values)})
    if not found:
        raise UserError(
            f"warm_start: no finished trial of {sweep} lies inside this search ({', '.join(search) or 'nothing is searched'}); "
            "name another sweep or widen the ranges"
        )
    return found


def _at(space: Mapping[str, Json], path: str) -> Json:
    """The value that every trial of the sweep had; None where it has no such field."""
    value: Json = space
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
