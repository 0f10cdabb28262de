"""AdaMML's cost in multiply-accumulates a segment, in two conventions.

``paper``: convolutions, plus 4 * hidden * (input + hidden) for the policy's LSTM without the fed-back logits: what the
authors count, and what the paper's tables show as GFLOPs. ``full``: every convolution, linear layer and LSTM cell that
runs, at the size that it really runs on. Bias, norms, activations and pooling are in neither.
"""

from __future__ import annotations

from functools import partial

import torch

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.model import CHANNELS, VIDEO_MODALITIES, AdaMML
from trainables.contract import CostTable
from trainables.kit.data.config import DataConfig
from trainables.kit.measure.macs import count_macs


def input_shape(data: DataConfig, modality: str) -> tuple[int, ...]:
    """Axes of one segment: frames are TCHW, a spectrogram is (1, bands, steps)."""
    if modality in VIDEO_MODALITIES:
        return (data.segments.frames, CHANNELS[modality], data.crop_size, data.crop_size)
    return (1, data.audio.bands, data.audio.steps)


def cost_table(config: AdaMMLConfig, classes: int) -> CostTable:
    """Count one segment of a network on meta tensors: no weights are made, no data is read."""
    config = _without_weights(config)
    with torch.device("meta"):
        model = AdaMML(config, classes).eval()
        inputs = {m: torch.empty(1, 1, *input_shape(config.data, m)) for m in model.modalities}
    recognition = {m: count_macs(model.recognition[m], partial(model.recognise, m, x)) for m, x in inputs.items()}
    policy = count_macs(model.policy, lambda: model.policy(inputs))
    lstm = model.policy.lstm
    fed_back = 2 * len(model.modalities) if model.policy.feedback else 0
    paper_lstm = 4 * lstm.hidden_size * (lstm.input_size - fed_back + lstm.hidden_size)
    return CostTable(
        per_segment_macs={
            "paper": {m: macs.conv for m, macs in recognition.items()},
            "full": {m: macs.total for m, macs in recognition.items()},
        },
        always_macs={"paper": policy.conv + paper_lstm, "full": policy.total},
        segments=config.data.segments.test,
    )


def _without_weights(config: AdaMMLConfig) -> AdaMMLConfig:
    """The same nets without initial weights: counting must not fetch them."""
    raw = config.model_dump(by_alias=True)
    for part in ("recognition", "policy"):
        for modality in CHANNELS:
            raw[part][modality]["weights"] = None
    return AdaMMLConfig.model_validate(raw)
