"""How the search went: hypervolume over passes and time, importances, the trials with their parameters and values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from explorer.browse import PAUSED, PRUNED, Front, hypervolume_history
from explorer.records import STUDY_FILE, SweepRecord, TrialRecord
from explorer.report.page.decimals import short
from explorer.spec.rungs import Rung
from trainables.contract import Json


def analysis(front: Front) -> dict[str, Json]:
    """``history``, ``importances``, ``dimensions``, ``tried`` (complete trials); empty where there is nothing yet."""
    objectives = dict(front.record.space.get("objectives", {}))
    return {
        "history": history(front),
        "importances": _importances(front, objectives),
        "dimensions": dimensions(front.record),
        "tried": [_trial(trial, list(objectives)) for trial in front.record.trials if trial.values is not None],
    }


def history(front: Front) -> dict[str, Json]:
    """One entry for each complete trial, in the order of ending.

    ``passes``: over the training videos, of the trials' own stages so far, shared ones counted once; what was stopped early
    counts as soon as it has begun. ``hours``: since the first trial began. ``hypervolume``: by convention.
    """
    ended = [t for t in front.record.trials if t.ended is not None and t.values is not None]
    ended.sort(key=lambda trial: (trial.ended or 0.0, trial.number))
    begun_s = min((t.started for t in front.record.trials if t.started is not None), default=0.0)
    order = [trial.number for trial in ended]
    return {
        "trials": order,
        "passes": _passes(front.record, ended),
        "hours": [short(((trial.ended or begun_s) - begun_s) / 3600) for trial in ended],
        "hypervolume": {
            convention: [
                short(v) for v in hypervolume_history(dataclasses.replace(front, convention=convention), order)
            ]
            for convention in front.all_on_gflops
        },
    }


def dimensions(record: SweepRecord) -> list[dict[str, Json]]:
    """The searched parameters: ``name`` and ``scale`` (log, linear or choice, with its ``choices``)."""
    found = []
    for name, raw in record.space.get("search", {}).items():
        if isinstance(raw, Mapping) and "choice" in raw:
            found.append({"name": name, "scale": "choice", "choices": [str(choice) for choice in raw["choice"]]})
        else:
            found.append({"name": name, "scale": "log" if any("log" in kind for kind in raw) else "linear"})
    return found


def _trial(trial: TrialRecord, objectives: list[str]) -> dict[str, Json]:
    values = zip(objectives, trial.values or (), strict=False)
    return {"number": trial.number, "values": {name: short(value) for name, value in values}}


def _passes(record: SweepRecord, ended: list[TrialRecord]) -> list[int]:
    stopped = [trial for trial in record.trials if trial.state in (PAUSED, PRUNED)]
    found = []
    for count, last in enumerate(ended, 1):
        meanwhile = [t for t in stopped if (t.started or 0.0) <= (last.ended or 0.0)]
        stages = {key for trial in (*ended[:count], *meanwhile) for key in trial.chain.values() if key in record.stages}
        cut = {key: passes for trial in meanwhile for key, passes in _cut(trial) if key not in record.stages}
        found.append(sum(record.stages[key].training_passes for key in stages) + sum(cut.values()))
    return found


def _cut(trial: TrialRecord) -> list[tuple[str, int]]:
    """Key and passes of the stage inside which a trial was stopped; none where that was between two stages."""
    last = next(reversed(list(trial.rungs)), None)
    rung = None if last is None else Rung.parse(last)
    if rung is None or rung.epochs is None:
        return []
    return [(trial.chain[rung.stage], trial.rungs[rung.name])]


def _importances(front: Front, objectives: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    from explorer.search.importance import importances

    study = front.folder / STUDY_FILE
    if not study.is_file():
        return {}
    found = importances(study, objectives)
    return {objective: {name: short(v) for name, v in shares.items()} for objective, shares in found.items()}
