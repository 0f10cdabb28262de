"""A made-up sweep record with real measurements: replay tables in which relevant segments speak for the truth."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from explorer.fronts import OperatingPoint, operating_points
from explorer.records import StageRecord, SweepRecord, TrialRecord
from explorer.times import TIMES_FILE, Timed
from trainables.contract import CostTable, Knob
from trainables.kit.engine.files import write_arrays
from trainables.kit.measure.replay import ModalityReplay
from trainables.timing import TimedPart, TimeTable

CLASSES, SEGMENTS = 6, 5
KNOBS = tuple(
    Knob(name=f"threshold.{m}", default=0.5, values=(0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9)) for m in ("rgb", "audio")
)
COST = CostTable(
    per_segment_macs={
        "paper": {"rgb": 14_000_000, "audio": 3_800_000},
        "full": {"rgb": 14_300_000, "audio": 3_900_000},
    },
    always_macs={"paper": 700_000, "full": 760_000},
    segments=SEGMENTS,
)


def replay(
    seed: int, split: str, *, keenness: float, bias: float, forced: float | None = None, videos: int = 120
) -> ModalityReplay:
    """``keenness``: how well the policy sees relevance; ``bias``: how readily it uses; ``forced``: its output."""
    rng = np.random.default_rng([seed, {"val": 0, "test": 1}[split]])
    label_B = np.arange(videos) % CLASSES
    relevant_BSM = rng.random((videos, SEGMENTS, 2)) < 0.35
    logits = rng.standard_normal((videos, SEGMENTS, 2, CLASSES)) * 0.9
    truth = np.eye(CLASSES)[label_B][:, None, None, :]
    logits += truth * np.where(relevant_BSM, 2.2, -0.35)[..., None] * np.array([1.0, 0.7])[:, None]
    seen = keenness * (relevant_BSM - 0.35) + bias + rng.standard_normal((videos, SEGMENTS, 2))
    probability = 1 / (1 + np.exp(-seen)) if forced is None else np.full(seen.shape, forced)
    return ModalityReplay(
        modalities=("rgb", "audio"),
        probability_BSM=probability.astype(np.float32),
        logits_BSMC=logits.astype(np.float32),
        present_BSM=np.ones((videos, SEGMENTS, 2), bool),
        label_B=label_B,
        video_ids=tuple(f"v{b}" for b in range(videos)),
        cost=COST
        if forced is None
        else CostTable(per_segment_macs=COST.per_segment_macs, always_macs={"paper": 0, "full": 0}, segments=SEGMENTS),
    )


def stage(
    folder: Path,
    key: str,
    name: str,
    points: list[OperatingPoint],
    baseline: str | None = None,
    tables: Mapping[int, ModalityReplay] | None = None,
) -> StageRecord:
    """A finished stage whose candidate epochs have their (empty) weights, and ``tables`` by epoch, on disk."""
    result = folder / "store" / key
    for point in points:
        weights = result / "epochs" / f"{point.epoch:04d}" / "weights.safetensors"
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(b"weights")
    for epoch, table in (tables or {}).items():
        write_arrays(result / "epochs" / f"{epoch:04d}" / "val.safetensors", table.arrays())
    return StageRecord(
        key=key,
        stage=name,
        baseline=baseline,
        folder=result,
        cost=COST,
        classes=tuple(f"class {c}" for c in range(CLASSES)),
        points=tuple(points),
        mode="policy" if baseline is None else "all_on",
        training_passes=0 if baseline else 3,
        config={"data": {"manifest": "planted.jsonl"}},
    )


def joint_settings(trial: int, epoch: int) -> dict[str, float]:
    """Of a trial's replay: later epochs and later trials see relevance better."""
    return {"keenness": 1.0 + epoch + 0.3 * trial, "bias": 0.8 - 0.35 * trial}


def joint_points(key: str, trial: int, epochs: int = 3) -> list[OperatingPoint]:
    """Points of every epoch of a trial's joint stage."""
    found = []
    for epoch in range(epochs):
        settings = joint_settings(trial, epoch)
        found += operating_points(
            replay(0, "val", **settings),
            replay(0, "test", **settings),
            KNOBS,
            cost=COST,
            key=key,
            stage="joint",
            epoch=epoch,
        )
    return found


def baseline_points(key: str, name: str, forced_M: tuple[float, float]) -> list[OperatingPoint]:
    """One point with fixed use of each modality."""
    tables = []
    for split in ("val", "test"):
        table = replay(0, split, keenness=0, bias=0, forced=1.0)
        tables.append(
            ModalityReplay(**{**vars(table), "probability_BSM": table.probability_BSM * np.array(forced_M, np.float32)})
        )
    return operating_points(*tables, (), cost=COST, key=key, stage=name)


def planted_sweep(
    folder: Path, *, name: str = "planted", trials: int = 6, parameter: str = "lambda.rgb", seed: int = 0
) -> SweepRecord:
    """A sweep of ``trials`` trials with three baselines; its last trial is still running and has no stage yet.

    Each trial's last epoch keeps its replay table, as all do in a real sweep.
    """
    stages = [
        stage(
            folder,
            f"joint-{t}",
            "joint",
            joint_points(f"joint-{t}", t),
            tables={2: replay(0, "val", **joint_settings(t, 2))},
        )
        for t in range(trials)
    ]
    named = {"unimodal.rgb": (1.0, 0.0), "unimodal.audio": (0.0, 1.0), "weighted_fusion": (1.0, 1.0)}
    stages += [stage(folder, f"base-{n}", n, baseline_points(f"base-{n}", n, use), n) for n, use in named.items()]
    return SweepRecord(
        folder=folder,
        name=name,
        system="adamml",
        trials=(
            *(
                TrialRecord(
                    number=t,
                    state="complete",
                    parameters={parameter: 0.05 * 2**t, "temperature.initial": 5.0 - 0.4 * t},
                    chain={"warmup": "warmup", "joint": f"joint-{t}"},
                    values=(0.5 + 0.05 * t, 0.09 - 0.01 * t),
                    started=1000.0 + 60 * t,
                    ended=1050.0 + 60 * t,
                )
                for t in range(trials)
            ),
            TrialRecord(number=trials, state="running", parameters={}, chain={"warmup": "warmup", "joint": "later"}),
        ),
        baselines={
            "unimodal": {n: f"base-{n}" for n in named if n.startswith("unimodal")},
            "weighted_fusion": {"weighted_fusion": "base-weighted_fusion"},
        },
        stages={s.key: s for s in stages},
        space={
            "name": name,
            "seed": seed,
            "objectives": {"accuracy": "max", "gflops": "min"},
            "search": {parameter: {"log": [0.05, 4]}, "temperature.initial": {"uniform": [1, 10]}},
        },
    )


def write_planted_times(folder: Path) -> Timed:
    """A measurement in which flow-like preprocessing is dear and the networks are cheap."""
    parts = (
        TimedPart(
            name="decode pictures", kind="preprocess", seconds=0.2, sites=("rgb",), policy=True, by_segment=False
        ),
        TimedPart(
            name="decode sound", kind="preprocess", seconds=0.05, sites=("audio",), policy=True, by_segment=False
        ),
        TimedPart(name="policy network", kind="network", seconds=0.004, sites=(), policy=True),
        TimedPart(name="rgb network", kind="network", seconds=0.03, sites=("rgb",)),
        TimedPart(name="audio network", kind="network", seconds=0.01, sites=("audio",)),
    )
    table = TimeTable(parts=parts, videos=8, batch=SEGMENTS, device="cpu", threads=1, torch="2.13.0")
    timed = Timed(times=table, machine="a planted processor (2 cores)", measured="2026-01-01T00:00:00+00:00")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TIMES_FILE).write_text(timed.model_dump_json())
    return timed
