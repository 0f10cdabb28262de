"""AdaMML's cost in multiply-accumulates a segment, in two conventions.

``paper``: convolutions, plus 4 * hidden * (input + hidden) for the policy's LSTM without the fed-back logits: what the
authors count, and what the paper's tables show as GFLOPs. Flow in the policy is charged as 15 channels at the full crop,
whatever stands in for it and whatever size it is looked at. ``full``: every multiplication of a convolution, linear layer,
attention or LSTM cell that runs, at the size that it really runs on. Bias, norms, activations and pooling are in neither.
"""

from __future__ import annotations

from functools import lru_cache, partial

import torch

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.model import AdaMML
from trainables.adamml.policy import policy_net, policy_shape
from trainables.contract import CostTable
from trainables.kit.data.modalities import MODALITIES
from trainables.kit.measure.macs import count_macs


def cost_table(config: AdaMMLConfig, classes: int) -> CostTable:
    """Count one segment of a network on meta tensors: no weights are made, no data is read.

    Counted once a process for what it depends on: a paper-size network takes 2 s, and every epoch's measurement asks.
    """
    relevant = config.model_dump_json(include={"data", "recognition", "policy"}, by_alias=True)
    return _count(relevant, classes)


@lru_cache(maxsize=32)
def _count(relevant: str, classes: int) -> CostTable:
    config = AdaMMLConfig.model_validate_json(relevant)
    seen = {*config.data.modalities, *config.data.also}
    segments = config.data.segments.test
    with torch.device("meta"):
        model = AdaMML(config, classes).eval()
        inputs = {m: torch.empty(1, 1, *MODALITIES[m].shape(config.data)) for m in seen}
    recognition = {
        m: count_macs(model.recognition[m], partial(model.recognise, m, inputs[m])) for m in config.data.modalities
    }
    return CostTable(
        per_segment_macs={
            "paper": {m: macs.conv for m, macs in recognition.items()},
            "full": {m: macs.total for m, macs in recognition.items()},
        },
        always_macs={
            "paper": sum(_paper_policy_net(config, m) for m in config.data.modalities) + _paper_lstm(model),
            "full": count_macs(model.policy, lambda: model.policy(inputs)).total - _done_once(model, segments),
        },
        segments=segments,
    )


def _done_once(model: AdaMML, segments: int) -> int:
    """What counting a single segment charges too much: how weights modulate the policy is computed once a video."""
    film = model.policy.film
    if film is None:
        return 0
    macs = sum(layer.weight.numel() for layer in (film.hidden, film.out))
    return macs - -(-macs // segments)


def _paper_policy_net(config: AdaMMLConfig, modality: str) -> int:
    """Convolutions of one of the policy's nets, at the size at which the paper charges it."""
    shape = policy_shape(config, config.seen_by_policy(modality))
    charged = MODALITIES[modality].policy_charge(config.data)
    if charged is not None:
        shape = (shape[0], *charged[1:])
    with torch.device("meta"):
        net = policy_net(config, modality, shape).eval()
        x_NTCHW = torch.empty(1, *shape)
    return count_macs(net, partial(net, x_NTCHW)).conv


def _paper_lstm(model: AdaMML) -> int:
    lstm = model.policy.lstm
    if lstm is None:
        return 0
    fed_back = 2 * len(model.policy.decisions) if model.policy.feedback else 0
    return 4 * lstm.hidden_size * (lstm.input_size - fed_back + lstm.hidden_size)
