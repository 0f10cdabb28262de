"""A pick: one operating point made into a folder of its own, which holds all that is needed to use it.

weights.safetensors   the checkpoint
pick.json             system, configuration, knobs, classes, what was measured, where it comes from
README.md             the same for people: a model card
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from explorer.browse import METRIC, Front, FrontPoint, measured_json
from explorer.curve import curve
from explorer.errors import UserError
from explorer.fronts import pick as choose
from explorer.store import Store
from trainables.contract import Json

FOLDER = "picks"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Picked:
    """What was chosen, and the folder that now holds it."""

    front: Front
    point: FrontPoint
    folder: Path

    def to_json(self) -> dict[str, Json]:
        """The output of ``explorer pick --json``: the point's own keys, ``test`` (null if unmeasured), ``folder``."""
        convention = self.front.convention
        test = self.point.test
        return {
            "sweep": self.front.name,
            "convention": convention,
            **self.point.to_json(convention),
            "test": None if test is None else {"split": "test", **measured_json(test, convention)},
            "folder": str(self.folder),
        }


def pick(
    front: Front | str | Path,
    *,
    max_gflops: float | None = None,
    min_accuracy: float | None = None,
    point_id: str | None = None,
    name: str | None = None,
) -> Picked:
    """Choose from ``front`` on validation and write the choice to ``SWEEP/picks/NAME``, in place of an older one.

    ``front``: a loaded one, or a sweep's folder (then costs are of the ``full`` convention). ``point_id``: this very
    point instead of a wish; a dominated one or a baseline will do, if its weights are kept.

    Raises:
        NoPoint: no point meets the wish.
        NotFound: there is no point ``point_id``.
        UserError: no wish was given, or two that may differ, or ``name`` cannot be a folder's.
        CheckpointMissing: the store's copy of the weights is gone or damaged.
    """
    loaded = front if isinstance(front, Front) else Front.load(front)
    if point_id is None:
        point = choose(loaded.points, max_gflops=max_gflops, min_accuracy=min_accuracy, convention=loaded.convention)
    elif max_gflops is None and min_accuracy is None:
        point = _named(loaded, point_id)
    else:
        raise UserError("--point names one point, so --max-gflops and --min-accuracy cannot choose; give either")
    label = name or _default_name(max_gflops, min_accuracy, loaded.convention, point if point_id else None)
    if not _NAME.fullmatch(label):
        raise UserError(f"a pick's name must be letters, digits, '.', '_' and '-' (it becomes a folder); got {label!r}")
    wish: dict[str, Json] = {"max_gflops": max_gflops, "min_accuracy": min_accuracy, "convention": loaded.convention}
    wish |= {} if point_id is None else {"point_id": point.point_id}
    return Picked(front=loaded, point=point, folder=write_pick(loaded, point, label, wish=wish))


def write_pick(front: Front, point: FrontPoint, name: str, *, wish: Mapping[str, Json]) -> Path:
    """Write ``point`` as the pick ``name``. The folder appears whole or not at all."""
    store = Store(front.folder.parent / "store")
    store.path(point.point.key)  # raises where the checkpoint is not what was published
    info = store.stage_info(point.point.key)
    folder = front.folder / FOLDER / name
    aside = folder.with_name(f".{name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        shutil.copyfile(point.checkpoint, aside / "weights.safetensors")
        facts = pick_info(front, point, info, wish=wish)
        (aside / "pick.json").write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        (aside / "README.md").write_text(model_card(name, facts), encoding="utf-8")
        _replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def pick_info(front: Front, point: FrontPoint, info: Mapping[str, Any], *, wish: Mapping[str, Json]) -> dict[str, Any]:
    """``pick.json``. ``info``: the stage's ``stage.json``."""
    return {
        "format": 1,
        "point_id": point.point_id,
        "system": info["system"],
        "stage": point.point.stage,
        "mode": info.get("mode", "policy"),
        "epoch": point.point.epoch,
        "config": info["config"],
        "knobs": dict(point.point.knobs),
        "curve": curve(front, point),
        "classes": list(info["classes"]),
        "preprocessing": info["config"].get("data", {}),
        "parameters": dict(point.parameters),
        "wish": dict(wish),
        "measured": {
            "metric": METRIC,
            "val": dataclasses.asdict(point.val),
            "test": None if point.test is None else dataclasses.asdict(point.test),
        },
        "all_on_gflops": dict(front.all_on_gflops),
        "provenance": {
            "sweep": front.name,
            "trial": point.trial,
            "key": point.point.key,
            "parents": info.get("parents", {}),
            "seed": info["seed"],
            "videos": info.get("videos", {}),
            "picked": datetime.now(UTC).isoformat(timespec="seconds"),
            **info.get("provenance", {}),
        },
    }


def model_card(name: str, facts: Mapping[str, Any]) -> str:
    """``README.md`` of a pick: what it is, what it was measured to be, how to use it, where its limits are."""
    measured, provenance, knobs = facts["measured"], facts["provenance"], facts["knobs"]
    splits = {split: measured[split] for split in ("val", "test") if measured[split] is not None}
    header = ["", *(f"{split} ({m['videos']} videos)" for split, m in splits.items())]
    rows = [[METRIC, *(f"{m['accuracy']:.4f}" for m in splits.values())]]
    for convention in facts["all_on_gflops"]:
        costs = [f"{m['gflops'][convention]:.5g}" for m in splits.values()]
        rows.append([f"GFLOPs a video, {convention} convention", *costs])
    for site in measured["val"]["rates"]:
        rows.append([f"{_md(site)} used", *(f"{100 * m['rates'][site]:.1f} %" for m in splits.values())])
    table = [header, ["---"] * len(header), *rows]
    videos = ", ".join(f"{count} {split}" for split, count in provenance["videos"].items())
    everything = ", ".join(f"{gflops:.5g} ({c})" for c, gflops in facts["all_on_gflops"].items())
    return "\n".join(
        [
            f"# {_md(name)}",
            "",
            f"A video recogniser of the system `{facts['system']}` that decides segment by segment what to compute: "
            f"point `{facts['point_id']}` of the sweep `{provenance['sweep']}`, trial {provenance['trial']}.",
            "",
            "## Measured",
            "",
            *("| " + " | ".join(row) + " |" for row in table),
            "",
            "GFLOPs are multiply-accumulates / 1e9, means over the videos, the policy included; everything on costs "
            f"{everything}. The point was chosen on val, where thresholds are judged on the half of the videos that "
            "did not choose them; test had no part in the choice.",
            "",
            "## Settings",
            "",
            *(f"- `{knob}` = {value:g}" for knob, value in knobs.items()),
            *(f"- `{parameter}` = {value}" for parameter, value in facts["parameters"].items()),
            "",
            f"{len(facts['classes'])} classes: {', '.join(_md(c) for c in facts['classes'])}.",
            "",
            "## Where it comes from",
            "",
            f"Stage `{facts['stage']}`, epoch {facts['epoch']}, key `{provenance['key']}`, seed {provenance['seed']}; "
            f"data: {videos or 'unknown'}. Everything else stands in `pick.json`.",
            "",
            "## Limits",
            "",
            "It knows the classes above and no others, and videos like those that it was trained on. A saving in "
            "multiply-accumulates is not the same saving in time.",
            "",
        ]
    )


def _md(text: object) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", str(text)).replace("\n", " ")


def _named(front: Front, point_id: str) -> FrontPoint:
    point = front.find(point_id)
    if not point.checkpoint.is_file():
        kept = ", ".join(p.point_id for p in front.points[:8]) or "none"
        raise UserError(
            f"the weights of {point.point_id} were dropped, as another epoch of its trial is better at every cost; "
            f"points of the front, whose weights are kept: {kept}"
        )
    return point


def _default_name(
    max_gflops: float | None, min_accuracy: float | None, convention: str, point: FrontPoint | None = None
) -> str:
    if point is not None:
        return f"point-{point.name or point.point_id}"
    parts = [] if max_gflops is None else [f"{max_gflops:g}gflops"]
    parts += [] if min_accuracy is None else [f"accuracy{min_accuracy:g}"]
    parts += [] if convention == "full" else [convention]
    return "budget-" + "-".join(parts)


def _replace(aside: Path, folder: Path) -> None:
    """Move ``aside`` to ``folder``; an older pick of that name goes first, as directories cannot be swapped."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        os.rename(folder, old)
    os.rename(aside, folder)
    shutil.rmtree(old, ignore_errors=True)
