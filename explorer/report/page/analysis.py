"""How the search went: hypervolume over passes and time, importances, the trials with their parameters and values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from explorer.browse import Front, hypervolume_history
from explorer.records import STUDY_FILE, SweepRecord, TrialRecord
from explorer.report.page.decimals import short
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
    """One entry for each trial that has ended, in the order of ending.

    ``passes``: over the training videos, of the trials' own stages so far, shared ones counted once. ``hours``: since the
    first trial began. ``hypervolume``: by convention.
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
    seen: set[str] = set()
    total, found = 0, []
    for trial in ended:
        for key in trial.chain.values():
            if key in record.stages and key not in seen:
                seen.add(key)
                total += record.stages[key].training_passes
        found.append(total)
    return found


def _importances(front: Front, objectives: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    from explorer.search.importance import importances

    study = front.folder / STUDY_FILE
    if not study.is_file():
        return {}
    found = importances(study, objectives)
    return {objective: {name: short(v) for name, v in shares.items()} for objective, shares in found.items()}
