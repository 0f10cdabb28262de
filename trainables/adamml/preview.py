"""Policies at table speed: what recognition says and what the policy's nets see, computed once; policies trained on that.

In the policy's half of the joint stage recognition is frozen, and lambda, gamma, temperature and annealing act there alone. So
after the warm-up one inference pass keeps the recognition logits of the training and the validation videos, and a policy is
trained on them as the joint stage does it (same loss, draws, order of the videos, optimiser), without a recognition net.
What it cannot see: in the joint stage recognition learns on, from what the policy selects, and so does fine-tuning.

Axes: ``V`` view (a drawing of segments and augmentation), ``B`` video, ``S`` segment, ``M`` modality, ``C`` class,
``D`` feature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from trainables.adamml.conditioning import lambda_grid
from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.measure import under_each, videos_a_batch
from trainables.adamml.model import AdaMML
from trainables.adamml.policy import Policy
from trainables.adamml.stages import PREVIEW_VIEWS, joint_stage
from trainables.adamml.steps import drawn_lambda, policy_loss
from trainables.contract import Batch, CostTable, Data, Share, StepContext
from trainables.errors import StageFailed
from trainables.kit.engine.optim import PairedOptimiser, parameter_groups
from trainables.kit.measure.replay import Conditioned, ModalityReplay
from trainables.kit.measure.share import shared_batches
from trainables.kit.nets.seeds import own_seed
from trainables.kit.noise import mix

_PASS = 1  # number of the joint stage's policy pass: the order of its videos and its noise are used
_LOOKED = "looked."
Depth = Literal["features", "inputs"]


def preview_table(
    model: nn.Module,
    config: AdaMMLConfig,
    data: Data,
    *,
    seed: int,
    share: Share,
    depth: Depth | None = None,
    views: int = PREVIEW_VIEWS,
) -> dict[str, np.ndarray]:
    """One inference pass: ``train.NAME`` with leading axes VBS, ``val.NAME`` with BS, and each split's labels.

    ``depth`` (None: ``policy.preview``) features: what the policy's nets make of a segment, as they are now; inputs: what they look
    at, so that they can learn as well. Each rank computes its share; all get the whole.
    """
    assert isinstance(model, AdaMML)
    depth = depth or config.policy.preview
    joint = joint_stage(config)
    device = next(model.parameters()).device

    def train_batches(view: int) -> Any:
        return data.train_batches(
            modalities=joint.modalities,
            segments=joint.segments,
            batch_size=_leaving_none_out(len(data.ids("train")), joint.batch_size, share.ranks),
            draw=(seed, view, _PASS),
            rank=share.rank,
            ranks=share.ranks,
        )

    with torch.no_grad():
        if depth == "features":
            _settle(model.policy, train_batches(0), device)
        model.eval()
        seen = [_rows(model, train_batches(view), share, device, depth) for view in range(views)]
        batches = shared_batches(
            data,
            "val",
            modalities=joint.modalities,
            segments=config.data.segments.test,
            batch_size=videos_a_batch(config, config.data.inputs),
            share=share,
            device=device,
        )
        val = _rows(model, batches, share, device, depth)
    once = ("label_B", "labels_BC")  # do not depend on the view
    train = {
        name: array if name in once else np.stack([view[name] for view in seen]) for name, array in seen[0].items()
    }
    arrays = {f"train.{name}": array for name, array in train.items()} | {f"val.{name}": a for name, a in val.items()}
    arrays["val.ids"] = np.frombuffer("\n".join(data.ids("val")).encode(), np.uint8).copy()
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise StageFailed("the networks' outputs are not finite; lower the learning rate")
    return arrays


def preview(
    config: AdaMMLConfig, arrays: Mapping[str, np.ndarray], *, seed: int, cost: Callable[[int], CostTable]
) -> ModalityReplay:
    """Train one policy of ``config`` on the table ``arrays``; its replay table on validation. Same seed, same bits.

    ``cost``: of the whole network, by the number of classes.

    Raises:
        StageFailed: a loss is not finite.
    """
    train, val = _Split.of(arrays, "train."), _Split.of(arrays, "val.")
    policy = _initial_policy(config, seed)
    joint = joint_stage(config)
    pass_ = joint.passes[_PASS]
    learns = [part for part, _ in policy.named_children() if train.looked_at or part != "nets"]
    groups = parameter_groups(pass_.optimiser, policy, learns)
    videos = len(train.label_B)
    starts = [s for s in range(0, videos, joint.batch_size) if s == 0 or videos - s > 1]
    optimiser = PairedOptimiser(pass_.optimiser, groups, steps_per_epoch=len(starts), epochs=joint.epochs)
    policy.train()
    for epoch in range(joint.epochs):
        context = StepContext(
            stage=joint.name, pass_name=pass_.name, epoch=epoch, epochs=joint.epochs, noise=mix(seed, epoch, _PASS)
        )
        order = np.random.default_rng([seed, epoch, _PASS, 0]).permutation(videos)
        view = train.view(epoch)
        for start in starts:
            batch, contribution_BSMC, feature = view.take(order[start : start + joint.batch_size])
            lambda_BM = drawn_lambda(config, batch, context)
            logits_BSD2 = policy.decide(policy.joint(feature(policy)), lambda_BM)
            loss = policy_loss(
                policy, config, batch, context, logits_BSD2=logits_BSD2, contribution_BSMC=contribution_BSMC
            ).total
            if not torch.isfinite(loss):
                raise StageFailed(f"preview: the loss is {float(loss.detach())} in epoch {epoch}")
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    video_ids = tuple(bytes(arrays["val.ids"]).decode().split("\n"))
    return _replay(policy.eval(), config, val, cost(val.contribution.shape[-1]), video_ids)


@dataclass(frozen=True, kw_only=True)
class _Split:
    """A split's part of the table. ``contribution``, ``present``, ``feature``, ``looked_at``: [(V,) B, S, ...]."""

    contribution: Tensor
    present: Tensor
    feature: Tensor | None
    looked_at: Mapping[str, Tensor]
    label_B: Tensor
    labels_BC: Tensor | None

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> _Split:
        found = {
            name.removeprefix(prefix): torch.from_numpy(np.ascontiguousarray(a))
            for name, a in arrays.items()
            if name.startswith(prefix)
        }
        return cls(
            contribution=found["contribution"],
            present=found["present"],
            feature=found.get("feature"),
            looked_at={n.removeprefix(_LOOKED): x for n, x in found.items() if n.startswith(_LOOKED)},
            label_B=found["label_B"],
            labels_BC=found["labels_BC"].bool() if "labels_BC" in found else None,
        )

    def view(self, epoch: int) -> _Split:
        """The view that an epoch sees."""
        v = epoch % len(self.contribution)
        return _Split(
            contribution=self.contribution[v],
            present=self.present[v],
            feature=None if self.feature is None else self.feature[v],
            looked_at={name: x[v] for name, x in self.looked_at.items()},
            label_B=self.label_B,
            labels_BC=self.labels_BC,
        )

    def take(self, rows: np.ndarray) -> tuple[Batch, Tensor, Callable[[Policy], Tensor]]:
        """A batch of some videos, ``contribution_BSMC``, and what gives a policy's ``feature_BSD``."""
        index_B = torch.from_numpy(rows)
        batch = Batch(
            inputs={},
            label_B=self.label_B[index_B],
            present_BSM=self.present[index_B],
            index_B=index_B,
            labels_BC=None if self.labels_BC is None else self.labels_BC[index_B],
        )

        def feature(policy: Policy) -> Tensor:
            if self.feature is not None:
                return self.feature[index_B]
            return policy.net_features({name: x[index_B] for name, x in self.looked_at.items()})

        return batch, self.contribution[index_B], feature


def _initial_policy(config: AdaMMLConfig, seed: int) -> Policy:
    """The policy that the joint stage starts from: no stage before it trains one."""
    torch.manual_seed(seed)
    with own_seed("policy"):
        return Policy(config)


def _rows(model: AdaMML, batches: Any, share: Share, device: torch.device, depth: Depth) -> dict[str, np.ndarray]:
    mine: dict[int, dict[str, np.ndarray]] = {}
    sites = len(model.modalities)
    for batch in batches:
        batch = batch.to(device)
        found = {
            "contribution": model.contributions(model.all_logits(batch.inputs)).float(),
            "present": batch.present_BSM[..., :sites].float(),
            "label_B": batch.label_B,
        }
        if batch.labels_BC is not None:
            found["labels_BC"] = batch.labels_BC
        looked_at = model.policy.looked_at(batch.inputs)
        if depth == "features":
            found["feature"] = model.policy.net_features(looked_at).float()
        else:
            found |= {_LOOKED + name: x for name, x in looked_at.items()}
        found = {name: x.cpu().numpy() for name, x in found.items()}
        mine |= {index: {n: a[b] for n, a in found.items()} for b, index in enumerate(batch.index_B.tolist())}
    rows = list(share.gather(mine).values())
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _settle(policy: Policy, batches: Any, device: torch.device) -> None:
    """Batch norm of nets that nobody has trained yet: the statistics of the training videos in place of none."""
    norms = [m for m in policy.nets.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    untouched = [m for m in norms if m.num_batches_tracked is not None and int(m.num_batches_tracked) == 0]
    if not untouched:
        return
    for norm in untouched:
        norm.momentum = None  # a plain average
        norm.train()
    for batch in batches:
        policy.net_features(policy.looked_at(batch.to(device).inputs))


def _leaving_none_out(videos: int, batch_size: int, ranks: int) -> int:
    """The smallest batch size from the stage's own on that leaves no video out at the end of an epoch."""
    while 0 < videos % batch_size < 2 * ranks:
        batch_size += 1
    return batch_size


def _replay(
    policy: Policy, config: AdaMMLConfig, val: _Split, cost: CostTable, video_ids: tuple[str, ...]
) -> ModalityReplay:
    with torch.no_grad():
        batch, contribution_BSMC, feature = val.take(np.arange(len(val.label_B)))
        joint_BSD = policy.joint(feature(policy))
        probability_BSM = policy.probability(policy.decide(joint_BSD))
        conditioned = None
        if config.conditioned:
            lambda_LM = lambda_grid(config)
            conditioned = Conditioned(
                lambda_LM=lambda_LM.numpy(), probability_LBSM=under_each(policy, joint_BSD, lambda_LM).numpy()
            )
    return ModalityReplay(
        modalities=config.data.modalities,
        probability_BSM=probability_BSM.numpy(),
        logits_BSMC=contribution_BSMC.numpy(),
        present_BSM=batch.present_BSM.bool().numpy(),
        label_B=val.label_B.numpy(),
        labels_BC=None if val.labels_BC is None else val.labels_BC.numpy(),
        video_ids=video_ids,
        sampled=config.test_decisions == "sample",
        conditioned=conditioned,
        cost=cost,
    )
