"""Two gloo ranks share batch statistics: a rank without a clip takes part, and nothing at all changes nothing.

``nn.SyncBatchNorm`` runs on GPUs alone, so a stand-in with the same collectives takes its place: one in the forward and
one in the backward pass, whatever the rank holds.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainables.kit.nets.backbones import Backbone, build_backbone

ROOT = Path(__file__).resolve().parents[2]
RANK = "import sys; from tests.trainables.test_backbones_ranks import run_rank; run_rank(sys.argv[1], int(sys.argv[2]))"
CLIPS_OF_RANKS = ((3, 0), (0, 0), (2, 2))  # three steps


class _SharedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # type: ignore[override]
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[override]
        grad = grad.clone()
        dist.all_reduce(grad)
        return grad


class SharedBatchNorm(nn.SyncBatchNorm):
    """Normalises by the mean over all ranks; as in torch, running statistics follow whatever the collective gives."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return input - self.running_mean[:, None, None]
        self.num_batches_tracked.add_(1)
        count = torch.tensor(float(input.numel() // input.shape[1]))
        total = _SharedSum.apply(torch.cat([input.sum((0, 2, 3)), count[None]]))
        mean = total[:-1] / total[-1]
        self.running_mean.mul_(0.9).add_(0.1 * mean.detach())
        return input - mean[:, None, None]


def shared_net() -> Backbone:
    torch.manual_seed(0)
    net = build_backbone("small_conv", 3, frames=1, size=8, widths=(4, 4))
    for block in net.blocks:
        block[1] = SharedBatchNorm(4)
    return net


def clips_of(step: int, rank: int) -> Tensor:
    generator = torch.Generator().manual_seed(10 * step + rank)
    return torch.randn(CLIPS_OF_RANKS[step][rank], 1, 3, 8, 8, generator=generator)


def run_rank(folder: str, rank: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    net, steps = shared_net(), []
    for step in range(len(CLIPS_OF_RANKS)):
        net.zero_grad()
        feature = net(clips_of(step, rank))
        feature.square().sum().backward()
        steps.append(
            {
                "clips": len(feature),
                "tracked": int(net.blocks[0][1].num_batches_tracked),
                "mean": net.blocks[1][1].running_mean.tolist(),
                "finite": all(bool(torch.isfinite(p.grad).all()) for p in net.parameters() if p.grad is not None),
            }
        )
    net.eval()
    if rank == 1:  # in eval mode nothing is shared: one rank alone does not wait for the other
        assert net(torch.empty(0, 1, 3, 8, 8)).shape == (0, 1, 4)
    print(json.dumps(steps))
    dist.destroy_process_group()


def test_a_rank_without_clips_takes_part_and_no_clips_anywhere_leave_the_statistics_alone(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(tmp_path), str(rank)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for rank in (0, 1)
    ]
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ended
    first, second = (json.loads(out) for out, _ in ended)
    assert [step["clips"] for step in first] == [3, 0, 2]
    assert [step["clips"] for step in second] == [0, 0, 2]
    assert all(step["finite"] for step in first + second)
    assert [step["mean"] for step in first] == [step["mean"] for step in second]
    assert [step["tracked"] for step in first] == [step["tracked"] for step in second] == [1, 1, 2]
    assert first[0]["mean"] == first[1]["mean"] != first[2]["mean"]
