"""One inference pass of AdaMML: everything that any threshold needs, once."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import nn

from trainables.adamml.conditioning import lambda_grid
from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.model import AdaMML
from trainables.adamml.policy import Policy
from trainables.contract import Batch, Convention, CostTable, Data, Share
from trainables.kit.data.modalities import MODALITIES
from trainables.kit.measure.modality import POLICY_MODES, SegmentOutput, modality_replay
from trainables.kit.measure.replay import ModalityReplay
from trainables.kit.measure.share import shared_batches

# A batch holds at most so many segments, and so many numbers of input (128 MiB: two videos of the paper's size, whose
# first layers take some 30 times as much).
SEGMENTS_A_BATCH = 480
NUMBERS_A_BATCH = 2**25


def replay(
    model: nn.Module,
    config: AdaMMLConfig,
    data: Data,
    split: str,
    *,
    cost: CostTable,
    mode: str,
    seed: int,
    share: Share,
) -> ModalityReplay:
    """Policy probabilities and each modality's contributions for every video of ``split``, at the test's segments.

    Only what ``mode`` needs is read and computed: one modality in ``only.NAME``, the policy and its own inputs
    (``data.also``) in ``policy``. The table of ``only.NAME`` knows that modality alone, without a fusion weight: its stage is
    shared by configurations that combine it with others.
    """
    assert isinstance(model, AdaMML)
    net, device = model, next(model.parameters()).device
    sites = (mode.removeprefix("only."),) if mode.startswith("only.") else config.data.modalities
    inputs = config.data.inputs if mode in POLICY_MODES else sites  # sites first
    lambda_LM = lambda_grid(config) if config.conditioned and mode in POLICY_MODES else None

    def forward(batch: Batch) -> SegmentOutput:
        batch = batch.to(device)
        present_BSM = batch.present_BSM[
            ..., : len(sites)
        ].bool()  # what only the policy looks at comes last, and is no site
        logits_BSMC = _contributions(net, batch, present_BSM, mode)
        if mode not in POLICY_MODES:
            return SegmentOutput(probability_BSM=present_BSM.float(), logits_BSMC=logits_BSMC, present_BSM=present_BSM)
        joint_BSD = net.policy.features(batch.inputs)
        return SegmentOutput(
            probability_BSM=net.policy.probability(net.policy.decide(joint_BSD)),
            logits_BSMC=logits_BSMC,
            present_BSM=present_BSM,
            probability_LBSM=None if lambda_LM is None else under_each(net.policy, joint_BSD, lambda_LM),
        )

    batches = shared_batches(
        data,
        split,
        modalities=inputs,
        segments=config.data.segments.test,
        batch_size=videos_a_batch(config, inputs),
        share=share,
        device=device,
    )
    table = modality_replay(
        forward,
        batches,
        modalities=sites,
        video_ids=data.ids(split),
        cost=cost,
        mode=mode,
        seed=seed,
        share=share,
        lambda_LM=None if lambda_LM is None else lambda_LM.numpy(),
    )
    if mode == "fused.fc2":  # two linear layers for every segment, in the place of the recognition nets' own
        always_macs: dict[Convention, int] = {"paper": 0, "full": _fc2_macs(net)}
        return replace(table, cost=replace(table.cost, always_macs=always_macs))
    return table


def under_each(policy: Policy, joint_BSD: torch.Tensor, lambda_LM: torch.Tensor) -> torch.Tensor:
    """``probability_LBSM``: the end of the policy again for each setting of the weights, all at once."""
    (videos, segments, dim), settings = joint_BSD.shape, len(lambda_LM)
    joint_NSD = joint_BSD.expand(settings, -1, -1, -1).reshape(-1, segments, dim)
    lambda_NM = lambda_LM.to(joint_BSD.device).repeat_interleave(videos, 0)
    probability_NSM = policy.probability(policy.decide(joint_NSD, lambda_NM))
    return probability_NSM.view(settings, videos, segments, -1)


def _fc2_macs(net: AdaMML) -> int:
    heads = sum(m.numel() for name, m in net.recognition.named_parameters() if name.endswith("head.weight"))
    return sum(m.numel() for name, m in net.fusion["fc2"].named_parameters() if name.endswith("weight")) - heads


def _contributions(net: AdaMML, batch: Batch, present_BSM: torch.Tensor, mode: str) -> torch.Tensor:
    """``contribution_BSMC``: what each modality adds to the logits where it is used."""
    if mode.startswith("fused."):
        return net.fused(mode.removeprefix("fused."), batch.inputs, present_BSM)
    if mode.startswith("only."):
        name = mode.removeprefix("only.")
        return net.recognise(name, batch.inputs[name])[:, :, None]
    return net.contributions(net.all_logits(batch.inputs))


def videos_a_batch(config: AdaMMLConfig, inputs: tuple[str, ...]) -> int:
    """How many videos fit into a batch of inference."""
    numbers = sum(math.prod(MODALITIES[name].shape(config.data)) for name in inputs)
    segments = min(SEGMENTS_A_BATCH, NUMBERS_A_BATCH // numbers)
    return max(1, segments // config.data.segments.test)
