"""One inference pass of AdaMML: everything that any threshold needs, once."""

from __future__ import annotations

import torch
from torch import nn

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.model import AdaMML
from trainables.contract import Batch, CostTable, Data
from trainables.kit.measure.modality import SegmentOutput, modality_replay
from trainables.kit.measure.replay import ModalityReplay

SEGMENTS_A_BATCH = 480


def replay(
    model: nn.Module, config: AdaMMLConfig, data: Data, split: str, *, cost: CostTable, mode: str, seed: int
) -> ModalityReplay:
    """Policy probabilities and weighted segment logits of every video of ``split``, at the test's segments."""
    assert isinstance(model, AdaMML)
    device = next(model.parameters()).device
    segments = config.data.segments.test
    wanted = (mode.removeprefix("only."),) if mode.startswith("only.") else config.data.modalities

    def forward(batch: Batch) -> SegmentOutput:
        batch = batch.to(device)
        shape = (*batch.present_BSM.shape[:2], len(model.modalities))
        logits_BSMC = torch.zeros(*shape, model.classes, device=device)
        present_BSM = torch.zeros(shape, dtype=torch.bool, device=device)
        for column, name in enumerate(wanted):
            m = model.modalities.index(name)
            logits_BSMC[:, :, m] = model.recognise(name, batch.inputs[name])
            present_BSM[:, :, m] = batch.present_BSM[:, :, column]
        if mode == "policy":
            probability_BSM = model.policy(batch.inputs).softmax(-1)[..., 1]
        else:
            probability_BSM = torch.zeros(shape, device=device)
        return SegmentOutput(
            probability_BSM=probability_BSM, logits_BSMC=model.fusion(logits_BSMC), present_BSM=present_BSM
        )

    batches = data.eval_batches(
        split, modalities=wanted, segments=segments, batch_size=max(1, SEGMENTS_A_BATCH // segments)
    )
    return modality_replay(
        forward,
        batches,
        modalities=config.data.modalities,
        video_ids=data.ids(split),
        cost=cost,
        mode=mode,
        seed=seed,
    )
