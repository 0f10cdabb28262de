"""What the points choose: by site, class and segment, and the decisions on some videos to look at.

Everything is computed from the replay tables on validation that every candidate epoch leaves in the store.
Axes: ``B`` video, ``U`` unit (segment or frame), ``C`` class.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.browse import Front, FrontPoint
from explorer.report.chosen import Columns, chosen, columns_of
from explorer.report.page.decimals import short
from trainables.contract import Json, Replay, Site, System
from trainables.errors import UserError
from trainables.kit.engine.files import epoch_folder, read_arrays
from trainables.systems import load_system

GALLERY_VIDEOS = 12
PICTURES_BYTES = 2_500_000  # of all pictures together; beyond it videos are left out, so that the page stays small


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A point with its decisions on all validation videos. ``predicted_B``: the class that it gives each.

    ``use``: ``share_BU`` by name. ``choices``: ``share_BUA`` by site, as ``columns`` show them; ``steady``: ``share_BA``.
    """

    point: FrontPoint
    use: Mapping[str, np.ndarray]
    sites: tuple[Site, ...]
    choices: Mapping[str, np.ndarray]
    steady: Mapping[str, np.ndarray]
    columns: Columns
    label_B: np.ndarray
    predicted_B: np.ndarray
    video_ids: tuple[str, ...]


def decisions(front: Front, points: Sequence[FrontPoint]) -> dict[str, Json]:
    """``chosen`` by point (see :func:`explorer.report.chosen.chosen`), and the ``gallery``."""
    system = load_system(front.system)
    tables: dict[tuple[str, int], Replay | None] = {}
    read = [found for point in points if (found := _read(front, system, point, tables)) is not None]
    classes = next((list(stage.classes) for stage in front.record.measured_stages()), [])
    return {
        "classes": classes,
        "chosen": {one.point.point_id: _chosen(one, len(classes)) for one in read},
        "gallery": _gallery(front, system, read),
    }


def point_shares(front: Front, point: FrontPoint) -> dict[str, Json] | None:
    """What one point uses on validation; None where its replay table is not kept.

    ``videos`` and ``by_class`` (mean share in [0, 1] of each site) are along ``classes``, null for a class without a video;
    ``by_unit`` is along the site's segments or frames; ``mean`` is over all videos. ``chosen``: how often each choice was taken.
    """
    one = _read(front, load_system(front.system), point, {})
    if one is None:
        return None
    classes = list(front.record.stages[point.point.key].classes)
    of_class = [one.label_B == c for c in range(len(classes))]
    return {
        "point_id": point.point_id,
        "system": point.system,
        "split": "val",
        "classes": classes,
        "videos": [int(those.sum()) for those in of_class],
        "mean": {site: short(use_BU.mean(), 3) for site, use_BU in one.use.items()},
        "by_class": {
            site: [short(use_BU[those].mean(), 3) if those.any() else None for those in of_class]
            for site, use_BU in one.use.items()
        },
        "by_unit": {site: [short(rate, 3) for rate in use_BU.mean(0)] for site, use_BU in one.use.items()},
        "chosen": _chosen(one, len(classes)),
    }


def _read(
    front: Front, system: System, point: FrontPoint, tables: dict[tuple[str, int], Replay | None]
) -> _Read | None:
    key = (point.point.key, point.point.epoch)
    if key not in tables:
        tables[key] = _table(front, system, point)
    table = tables[key]
    if table is None:
        return None
    sites, knobs = system.sites(_config(front, system, point)), point.point.knobs
    use, choices = table.decisions(knobs), table.choices(sites, knobs)
    return _Read(
        point=point,
        use=use,
        sites=sites,
        choices=choices,
        steady=table.steady(sites, knobs),
        columns=columns_of(sites, choices, use),
        label_B=np.asarray(table.label_B),
        predicted_B=table.video_logits(knobs).argmax(-1),
        video_ids=tuple(table.video_ids),
    )


def _table(front: Front, system: System, point: FrontPoint) -> Replay | None:
    """None where it is not kept."""
    file = epoch_folder(point.result, point.point.epoch) / "val.safetensors"
    try:
        config = _config(front, system, point)
    except ValueError:  # of an older version of the system
        return None
    return system.replay_from(read_arrays(file), config) if file.is_file() else None


def _config(front: Front, system: System, point: FrontPoint) -> Any:
    return system.Config.model_validate(dict(front.record.stages[point.point.key].config))


def _chosen(one: _Read, classes: int) -> dict[str, Json]:
    return chosen(one.sites, one.choices, one.columns, one.label_B, classes, one.steady)


# --- the gallery ------------------------------------------------------------------------------------------------------


def _gallery(front: Front, system: System, read: Sequence[_Read]) -> dict[str, Json]:
    """``videos`` with their pictures and ``decisions`` by point; or ``missing``, why there are none."""
    own = [one for one in read if one.point.name is None]
    if not own:
        return {"missing": "There are no decisions to show yet."}
    best = max(own, key=lambda one: one.point.val.accuracy)
    shown = chosen_videos(best.use, best.label_B)
    cache = front.folder.parent / "cache"
    try:
        pictures = system.pictures(_config(front, system, best.point), cache, [best.video_ids[b] for b in shown])
    except (UserError, OSError, ValueError) as error:  # a page without pictures is better than none
        return {"missing": f"The videos cannot be shown: {error}"}
    if not pictures:
        return {"missing": "The videos cannot be shown: neither their files nor their cached frames are here."}
    videos, kept, size = [], [], 0
    for b in shown:
        found = pictures.get(best.video_ids[b])
        if found is None:
            continue
        size += sum(len(jpeg) for row in found.jpeg.values() for jpeg in row)
        if size > PICTURES_BYTES:
            break
        kept.append(b)
        videos.append(
            {
                "id": best.video_ids[b],
                "label": int(best.label_B[b]),
                "bounds_s": [[short(value) for value in bound] for bound in found.bounds_s],
                "pictures": {site: [_data_url(jpeg) for jpeg in row] for site, row in found.jpeg.items()},
            }
        )
    same = [one for one in read if one.video_ids == best.video_ids]
    return {"videos": videos, "decisions": {one.point.point_id: [_of_video(one, b) for b in kept] for one in same}}


def chosen_videos(use: Mapping[str, np.ndarray], label_B: np.ndarray, count: int = GALLERY_VIDEOS) -> list[int]:
    """Up to ``count`` videos, evenly over the classes; of each class those whose decisions vary most come first."""
    variety_B = sum(use_BU.mean(1) * (1 - use_BU.mean(1)) for use_BU in use.values())
    queues = [sorted(np.flatnonzero(label_B == c), key=lambda b: (-variety_B[b], b)) for c in np.unique(label_B)]
    if len(queues) > count:
        queues = [queues[i * len(queues) // count] for i in range(count)]
    order = [int(queue[place]) for place in range(count) for queue in queues if place < len(queue)]
    return sorted(order[:count], key=lambda b: (label_B[b], b))


def _of_video(one: _Read, b: int) -> dict[str, Json]:
    """``used``: a digit a unit for each column; or ``mix``, where columns add up to 1: the percentages of every unit."""
    share_UK, predicted = one.columns.share_BUK[b], int(one.predicted_B[b])
    if one.columns.stacked:
        return {"mix": np.rint(100 * share_UK).astype(int).tolist(), "predicted": predicted}
    used = {name: "".join("1" if used else "0" for used in share_UK[:, k]) for k, name in enumerate(one.columns.names)}
    return {"used": used, "predicted": predicted}


def _data_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
