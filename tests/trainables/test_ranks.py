"""Two gloo ranks train and measure together what one does alone, and only the first writes and reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from explorer.execute import execute
from explorer.store import Store
from tests.trainables.adamml_parts import tiny_config
from tests.trainables.small_system import SmallConfig, SmallSystem
from tests.trainables.two_ranks import Part, in_two_ranks
from trainables.adamml.system import AdaMMLSystem
from trainables.contract import Batch, Loss, StageJob, StepContext
from trainables.errors import StageFailed
from trainables.kit.engine.files import epoch_folder
from trainables.kit.engine.keys import stage_jobs
from trainables.kit.engine.ranks import Ranks
from trainables.kit.engine.train import EpochReport, replay_epoch, run_stage
from trainables.kit.engine.weights import load_weights

WEIGHTS = "weights.safetensors"


class FixedStatistics(AdaMMLSystem):
    """AdaMML with batch norm in eval mode: on a CPU, statistics in training are those of a rank's share."""

    def step(self, model: nn.Module, config: Any, batch: Batch, context: StepContext) -> Loss:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return super().step(model, config, batch, context)


SMALL, ADAMML = SmallSystem(), FixedStatistics()


# --- what one rank and two do: each function works below root/NUMBER OF RANKS and returns what it saw -----------------


def small_jobs(**fields: Any) -> tuple[StageJob, ...]:
    # The same keys on one rank and on two, so that their files can be compared.
    config = SmallConfig.model_validate(fields)
    return stage_jobs(SMALL, config, seed=0, ranks=2, stages=SMALL.stages(config))


def adamml_jobs(root: Path) -> dict[str, StageJob]:
    """One step a pass: the batch holds all 24 training videos."""
    step: dict[str, Any] = {"epochs": 1, "batch_size": 24}
    joint = {**step, "policy": {"name": "sgd", "lr": 0.01}}  # a rate that is proportional to the gradient
    stages = {"unimodal": step, "warmup": step, "joint": joint, "random": step}
    data = {"segments": {"test": 160}}  # three videos a batch: two batches of validation
    config = tiny_config({"stages": stages, "data": data}, (root / "manifest").read_text())
    chains = ADAMML.baseline_stages(config)
    declared = {stage.name: stage for stage in (*ADAMML.stages(config), *chains["random_both"])}
    return {job.stage: job for job in stage_jobs(ADAMML, config, seed=0, ranks=2, stages=tuple(declared.values()))}


def train(
    work: Path, ranks: Ranks, job: StageJob, *, cache: Path, parents: dict[str, Path]
) -> tuple[Path, Sequence[EpochReport]]:
    reports: list[EpochReport] = []
    result = run_stage(
        job,
        work=work,
        parents=parents,
        cache=cache,
        ranks=ranks,
        on_epoch=lambda report: reports.append(report) or True,
    )
    return result, reports


def train_small(root: Path, ranks: Ranks) -> list[dict[str, float]]:
    """Uneven shares (3 videos in the last batch), without and with accumulation."""
    reports: list[EpochReport] = []
    for accumulate in (1, 2):
        job = small_jobs(batch_size=8, accumulate=accumulate)[0]
        work = root / str(ranks.ranks) / f"small.{accumulate}"
        reports += train(work, ranks, job, cache=root, parents={})[1]
    return [dict(report.metrics) for report in reports]


def fail_on_one_video(root: Path, ranks: Ranks) -> str:
    try:
        train(root / str(ranks.ranks) / "nan", ranks, small_jobs(nan_video=3)[0], cache=root, parents={})
    except StageFailed as error:
        return str(error)
    return "trained"


def combine(root: Path, ranks: Ranks) -> None:
    """More rows than are sent at a time, unevenly held; gradients of two types, more than a bucket, some absent."""
    rows = {number: torch.full((3,), number) for number in range(ranks.rank, 777, 2) if number < 600 or ranks.first}
    gathered = ranks.gather(rows)
    assert list(gathered) == [n for n in range(777) if n < 600 or n % 2 == 0]
    assert all(int(row[0]) == number for number, row in gathered.items())
    assert ranks.gather({}) == {}
    assert ranks.sum(1, 2 * ranks.rank) == [2, 2]
    assert ranks.smallest(5 - ranks.rank) == 4
    assert ranks.broadcast({"rank": ranks.rank}) == {"rank": 0}
    big = [nn.Parameter(torch.zeros(3_000_000)) for _ in range(4)]
    mixed = nn.Parameter(torch.zeros(2, 3, dtype=torch.float64))
    lonely, unused = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    for parameter in (*big, mixed):
        parameter.grad = torch.full_like(parameter, 1.0 + ranks.rank)
    if ranks.rank == 1:
        lonely.grad = torch.ones(2)
    ranks.combine_gradients([*big, mixed, lonely, unused], weight=(0.25, 0.75)[ranks.rank])
    assert all(p.grad is not None and p.grad.unique().tolist() == [0.25 + 2 * 0.75] for p in (*big, mixed))
    assert lonely.grad is not None and lonely.grad.tolist() == [0.75, 0.75]
    assert unused.grad is None
    norm = nn.BatchNorm1d(3)
    assert norm.running_mean is not None and norm.num_batches_tracked is not None
    norm.running_mean.fill_(ranks.rank)
    norm.num_batches_tracked.fill_(7 + ranks.rank)
    ranks.copy_buffers(norm)
    assert norm.running_mean.tolist() == [0, 0, 0]
    assert norm.num_batches_tracked == 7


def measure(root: Path, ranks: Ranks) -> list[float]:
    """Tables of the weights that one rank trained: a small system's and AdaMML's, with the policy and under a coin."""
    jobs = adamml_jobs(root)
    cases = {f"small.{mode}": small_jobs(epochs=0, mode=mode)[0] for mode in ("policy", "random")}
    cases |= {name: jobs[name] for name in ("unimodal.audio", "joint", "random_both")}
    sums = []
    for name, job in cases.items():
        weights = root / "given" / name.partition(".")[0] / WEIGHTS
        folder = root / str(ranks.ranks) / "measure" / name
        epoch_folder(folder, 0).mkdir(parents=True, exist_ok=True)
        if ranks.first:
            (epoch_folder(folder, 0) / WEIGHTS).write_bytes(weights.read_bytes())
        ranks.broadcast(True)
        for split in ("val", "test"):
            table = replay_epoch(job, folder, 0, split, cache=root / "cache", ranks=ranks)
            sums.append(float(table.score([{}]).gmacs_PB["full"].sum()))
    return sums


def execute_small(root: Path, ranks: Ranks) -> list[bool]:
    store = Store(root / str(ranks.ranks) / "store")
    jobs = small_jobs(epochs=3)
    for job in jobs:
        execute(job, store=store, cache=root, on_epoch=lambda report: True, ranks=ranks)
        ranks.broadcast(True)  # the first has published
    return [point["test"] is not None for job in jobs for point in store.points(job.key)]


def step_adamml(root: Path, ranks: Ranks) -> list[dict[str, float]]:
    """A step of each of AdaMML's stages from the same weights: unimodal, warm-up, and joint with its two passes."""
    jobs = adamml_jobs(root)
    given = {name: root / "given" / name for name in ("unimodal.rgb", "unimodal.audio", "warmup")}
    metrics = []
    for name in ("unimodal.rgb", "warmup", "joint"):
        work = root / str(ranks.ranks) / name
        parents = {parent: given[parent] for parent in jobs[name].parents}
        metrics += [r.metrics for r in train(work, ranks, jobs[name], cache=root / "cache", parents=parents)[1]]
    return [dict(of_stage) for of_stage in metrics]


# --- and what must come out -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Both:
    """What the functions returned: alone on one rank, and on each of two."""

    root: Path
    alone: dict[str, Any]
    together: dict[str, list[Any]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, clips: Path, media_cache: Path) -> Both:
    """Both ways, once for all tests: starting two processes takes longer than what they do."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("ranks")
    (root / "manifest").write_text(str(clips))
    (root / "cache").symlink_to(media_cache)
    give_weights(root)
    parts: list[Part] = [train_small, fail_on_one_video, measure, execute_small, step_adamml]
    alone = {part.__name__: part(root, Ranks()) for part in parts}
    return Both(root, alone, in_two_ranks(root, [*parts, combine]))


def give_weights(root: Path) -> None:
    """Trained weights that everything starts from, by stage."""
    jobs = {"small": small_jobs()[0], **adamml_jobs(root)}
    results: dict[str, Path] = {}
    for name in ("small", "unimodal.rgb", "unimodal.audio", "warmup", "joint", "random_both"):
        parents = {parent: results[parent] for parent in jobs[name].parents}
        results[name], _ = train(root / "train" / name, Ranks(), jobs[name], cache=root / "cache", parents=parents)
        (root / "given").mkdir(exist_ok=True)
        (root / "given" / name).symlink_to(results[name])
    (root / "given" / "unimodal").symlink_to(results["unimodal.audio"])


def weights(root: Path, *parts: str) -> list[dict[str, torch.Tensor]]:
    """Of one rank and of two."""
    return [load_weights(Path(root, number, *parts, "result", WEIGHTS)) for number in ("1", "2")]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_ranks_take_the_steps_that_one_takes(both, accumulate):
    one, two = weights(both.root, f"small.{accumulate}")
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=1e-6, msg=lambda text, n=name: f"{n}: {text}")
    assert one["recognition.rare"].ne(1).all()  # what a single video of one rank moved, both moved


@pytest.mark.parametrize(("stage", "parent"), [("unimodal.rgb", None), ("warmup", "unimodal.rgb"), ("joint", "warmup")])
def test_a_step_of_adamml_on_two_ranks_is_the_step_of_one(both, stage, parent):
    one, two = weights(both.root, stage)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=1e-6, msg=lambda text, n=name: f"{n}: {text}")
    before = load_weights(both.root / "given" / parent / WEIGHTS) if parent else {}
    assert all(not torch.equal(one[name], before[name]) for name in before if name.endswith("head.weight"))


@pytest.mark.parametrize("part", ["train_small", "step_adamml"])
def test_only_the_first_rank_reports_and_its_means_are_over_the_videos_of_both(both, part):
    first, second = both.together[part]
    assert second == []
    assert len(first) == len(both.alone[part])
    for mine, alone in zip(first, both.alone[part], strict=True):
        assert mine == pytest.approx(alone, abs=1e-4)


def test_a_loss_that_is_nan_on_one_rank_fails_the_stage_on_both(both):
    first, second = both.together["fail_on_one_video"]
    assert first == second == both.alone["fail_on_one_video"]
    assert first.startswith("first: the loss is nan in epoch 0, pass recognition, step ")


def test_rows_numbers_gradients_and_buffers_come_together_whatever_each_rank_holds(both):
    assert both.together["combine"] == [None, None]


def test_two_ranks_measure_with_the_bits_of_one(both):
    assert both.together["measure"] == [both.alone["measure"]] * 2
    one = sorted((both.root / "1" / "measure").glob("*/epochs/*/*.safetensors"))
    assert len(one) == 5 * 3
    for file in one:
        other = both.root / "2" / file.relative_to(both.root / "1")
        assert file.read_bytes() == other.read_bytes(), file


def test_a_stage_executed_on_two_ranks_has_the_points_that_one_finds(both):
    assert both.together["execute_small"] == [both.alone["execute_small"]] * 2
    for job in small_jobs(epochs=3):
        one, two = (Store(both.root / number / "store").points(job.key) for number in ("1", "2"))
        for mine, other in zip(one, two, strict=True):
            assert mine["selection"] == other["selection"]
            assert mine["val"]["accuracy"] == pytest.approx(other["val"]["accuracy"])
