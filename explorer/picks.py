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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.browse import METRIC, Front, FrontPoint, measured_json
from explorer.curve import curve
from explorer.errors import NotFound, UserError
from explorer.fronts import Wish
from explorer.fronts import pick as choose
from explorer.fronts.pick import Cost
from explorer.latency import Latencies
from explorer.merged import MergedPoint, require_comparable
from explorer.report.model_card import model_card
from explorer.store import Store
from explorer.times import machine
from trainables.contract import Json

if TYPE_CHECKING:
    from explorer.tracking.registry import Registered

FOLDER = "picks"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Picked:
    """What was chosen, and the folder that now holds it. ``latency_ms``: where it was asked for; ``registered``: likewise."""

    front: Front
    point: FrontPoint
    folder: Path
    latency_ms: float | None = None
    registered: Registered | None = None

    def to_json(self) -> dict[str, Json]:
        """The output of ``explorer pick --json``: the point's own keys, ``test`` (null if unmeasured), ``folder``."""
        convention = self.front.convention
        test = self.point.test
        return {
            "sweep": self.front.name,
            "convention": convention,
            **self.point.to_json(convention),
            **({} if self.latency_ms is None else {"latency_ms": self.latency_ms}),
            "test": None if test is None else {"split": "test", **measured_json(test, convention)},
            "folder": str(self.folder),
            **({} if self.registered is None else {"registered": self.registered.to_json()}),
        }


def pick(
    front: Front | str | Path | Sequence[Front],
    *,
    max_gflops: float | None = None,
    max_latency_ms: float | None = None,
    min_accuracy: float | None = None,
    minimise: Cost | None = None,
    point_id: str | None = None,
    name: str | None = None,
    register: str | None = None,
    into: Path | None = None,
) -> Picked:
    """Choose from ``front`` on validation and write the choice to ``SWEEP/picks/NAME``, in place of an older one.

    ``front``: a loaded one, or a sweep's folder (then costs are of the ``full`` convention), or several loaded ones on the
    same videos: the choice is among all of them and lies with the sweep that it comes from. ``max_latency_ms`` limits
    what the networks take for a video on this machine, measured now. ``minimise``: see :class:`explorer.fronts.Wish`.
    ``point_id``: this very point instead of a wish; a dominated one or a baseline will do, if its weights are kept.
    ``register``: also make it a version of that name in MLflow's registry, with an alias that says the budget. ``into``: the
    folder below which it is written in the place of the sweep's: a portfolio's.

    Raises:
        NoPoint: no point meets the wish.
        NotFound: there is no point ``point_id``.
        UserError: no wish was given, or two that may differ, or a name cannot be one, or the sweeps cannot be compared.
        CheckpointMissing: the store's copy of the weights is gone or damaged.
        TrackingFailed: the registry does not answer; the folder is written all the same.
    """
    fronts = [front if isinstance(front, Front) else Front.load(front)] if isinstance(front, Front | str | Path) else [*front]
    require_comparable(fronts)
    limits = {"max_gflops": max_gflops, "max_latency_ms": max_latency_ms, "min_accuracy": min_accuracy}
    if point_id is not None and any(v is not None for v in (*limits.values(), minimise)):
        raise UserError("--point names one point, so no limit can choose; give either")
    wish = None if point_id is not None else Wish(**limits, minimise=minimise, convention=fronts[0].convention)
    check_name("a pick's name", name or "unnamed", "it becomes a folder")
    if register is not None:
        check_name("a registered model's name", register, "it becomes part of models:/NAME@alias")
    latencies = {one.folder: Latencies(Store(one.folder.parent / "store")) for one in fronts}
    loaded, point = _named(fronts, point_id) if wish is None else _best(fronts, wish, latencies)
    latency: dict[str, Json] | None = None
    if wish is not None and wish.asks_for_latency:
        latency = {
            "networks_ms": latencies[loaded.folder].ms(point),
            "machine": machine(),
            **latencies[loaded.folder].table(point).model_dump(mode="json"),
        }
    asked: dict[str, Json] = (
        {"convention": loaded.convention, "point_id": point.point_id} if wish is None else wish.to_json()
    )
    label = f"point-{point.name or point.point_id}" if wish is None else default_name(wish)
    folder = write_pick(loaded, point, name or label, wish=asked, latency=latency, into=into)
    picked = Picked(
        front=loaded, point=point, folder=folder, latency_ms=None if latency is None else float(latency["networks_ms"])
    )
    if register is None:
        return picked
    from explorer.tracking.registry import register as register_model

    return replace(picked, registered=register_model(folder, register, alias=label, sweep=loaded.folder))


def write_pick(
    front: Front,
    point: FrontPoint,
    name: str,
    *,
    wish: Mapping[str, Json],
    latency: Mapping[str, Json] | None = None,
    into: Path | None = None,
) -> Path:
    """Write ``point`` as the pick ``name``, of the sweep or of what is in ``into``. The folder appears whole or not at all."""
    folder = (into or front.folder) / FOLDER / name
    aside = folder.with_name(f".{name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        fill_pick(aside, front, point, name, wish=wish, latency=latency)
        _replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def fill_pick(
    folder: Path,
    front: Front,
    point: FrontPoint,
    name: str,
    *,
    wish: Mapping[str, Json],
    latency: Mapping[str, Json] | None = None,
) -> None:
    """Write the files of a pick into ``folder``.

    Raises:
        CheckpointMissing: the store's copy of the weights is gone or damaged.
    """
    store = Store(front.folder.parent / "store")
    store.path(point.point.key)  # raises where the checkpoint is not what was published
    facts = pick_info(front, point, store.stage_info(point.point.key), wish=wish, latency=latency)
    shutil.copyfile(point.checkpoint, folder / "weights.safetensors")
    (folder / "pick.json").write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_card(name, facts), encoding="utf-8")


def pick_info(
    front: Front,
    point: FrontPoint,
    info: Mapping[str, Any],
    *,
    wish: Mapping[str, Json],
    latency: Mapping[str, Json] | None = None,
) -> dict[str, Any]:
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
            **({} if latency is None else {"latency": dict(latency)}),
        },
        "trade_off": trade_off(front, point),
        "all_on_gflops": dict(front.all_on_gflops),
        "provenance": {
            "sweep": front.name,
            "trial": point.trial,
            "forked_from": point.forked_from,
            "key": point.point.key,
            "parents": info.get("parents", {}),
            "seed": info["seed"],
            "videos": info.get("videos", {}),
            "picked": datetime.now(UTC).isoformat(timespec="seconds"),
            **info.get("provenance", {}),
        },
    }


def trade_off(front: Front, point: FrontPoint) -> list[dict[str, Json]]:
    """What else the sweep offered, on validation: the point's neighbours on the front, and the baselines."""
    gflops = point.val.gflops[front.convention]
    cheaper = [p for p in front.points if p.val.gflops[front.convention] < gflops and p is not point]
    dearer = [p for p in front.points if p.val.gflops[front.convention] > gflops and p is not point]
    rows = {"this one": point}
    rows |= {"next cheaper": cheaper[-1]} if cheaper else {}
    rows |= {"next dearer": dearer[0]} if dearer else {}
    rows |= {f"baseline {b.name}": b for b in front.baselines}
    return [
        {
            "what": what,
            "point_id": p.point_id,
            "accuracy": p.val.accuracy,
            "standard_error": p.val.standard_error,
            "gflops": p.val.gflops[front.convention],
            "convention": front.convention,
        }
        for what, p in sorted(rows.items(), key=lambda row: row[1].val.gflops[front.convention])
    ]


def check_name(what: str, name: str, reason: str) -> None:
    """Raises ``UserError`` where ``name`` cannot be ``what``."""
    if not _NAME.fullmatch(name):
        raise UserError(f"{what} must be at most 100 letters, digits, '.', '_' and '-' ({reason}); got {name!r}")


def default_name(wish: Wish) -> str:
    """Says the budget: ``budget-80gflops``, ``budget-12ms-accuracy0.9``, ..."""
    parts = [] if wish.max_gflops is None else [f"{wish.max_gflops:g}gflops"]
    parts += [] if wish.max_latency_ms is None else [f"{wish.max_latency_ms:g}ms"]
    parts += [] if wish.min_accuracy is None else [f"accuracy{wish.min_accuracy:g}"]
    parts += [] if wish.minimise is None else [f"least-{wish.minimise}"]
    parts += [] if wish.convention == "full" else [wish.convention]
    return "budget-" + "-".join(parts)


def _best(fronts: Sequence[Front], wish: Wish, latencies: Mapping[Path, Latencies]) -> tuple[Front, FrontPoint]:
    if wish.asks_for_latency:  # the front of GFLOPs need not hold the quickest
        points = [MergedPoint(front=front, point=point) for front in fronts for point in front.deployable]
        chosen = choose(points, wish, latency_ms=lambda one: latencies[one.front.folder].ms(one.point))
    else:
        chosen = choose([MergedPoint(front=front, point=point) for front in fronts for point in front.points], wish)
    return chosen.front, chosen.point


def _named(fronts: Sequence[Front], point_id: str | None) -> tuple[Front, FrontPoint]:
    assert point_id is not None
    holding = [front for front in fronts if _holds(front, point_id)]
    if not holding and len(fronts) > 1:
        names = ", ".join(front.name for front in fronts)
        raise NotFound(f"none of the sweeps {names} has a point {point_id!r}; `explorer front` shows the ids of their points")
    holding = holding or [fronts[0]]  # which tells what is missing, and what there is
    if len(holding) > 1:
        raise UserError(f"{point_id!r} names points of {len(holding)} sweeps; give the one that is meant")
    front = holding[0]
    point = front.find(point_id)
    if not point.checkpoint.is_file():
        kept = ", ".join(p.point_id for p in front.points[:8]) or "none"
        raise UserError(
            f"the weights of {point.point_id} were dropped, as another epoch of its trial is better at every cost; "
            f"points of the front, whose weights are kept: {kept}"
        )
    return front, point


def _holds(front: Front, point_id: str) -> bool:
    try:
        front.find(point_id)
    except NotFound:
        return False
    except UserError:  # more than one: that is told where it is looked up
        return True
    return True


def _replace(aside: Path, folder: Path) -> None:
    """Move ``aside`` to ``folder``; an older pick of that name goes first, as directories cannot be swapped."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        os.rename(folder, old)
    os.rename(aside, folder)
    shutil.rmtree(old, ignore_errors=True)
