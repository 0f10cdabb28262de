"""AdaMML's parts as modules of plain tensors: what can be exported.

A recognition net takes any number of segments. The policy takes one segment a video and its state, as its LSTM does, so that
videos of any number of segments, and streams, run through one exported graph.

Axes: ``N`` segment or video, ``M`` modality, ``T`` frame, ``C`` class, ``D`` decision.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.model import AdaMML
from trainables.adamml.policy import Policy, PolicyState
from trainables.contract import Network
from trainables.kit.data.modalities import MODALITIES

STATE = ("hidden", "cell", "logits")


class PolicyStep(nn.Module):
    """The policy on one segment: ``(x_NTCHW of each input it sees, hidden, cell, logits) -> (probability_NM, the same three)``.

    The state before the first segment is zeros. A policy without LSTM has none: ``(x_NTCHW, ...) -> (probability_NM,)``. A
    conditioned one also takes ``lambda_NM``, after what it sees.
    """

    def __init__(self, policy: Policy, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.policy = policy
        self._inputs = inputs
        self._conditioned = policy.config.conditioned

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        count = len(self._inputs)
        seen, rest = tensors[:count], tensors[count:]
        lambda_NM, before = (rest[0], rest[1:]) if self._conditioned else (None, rest)
        inputs = {name: x_NTCHW[:, None] for name, x_NTCHW in zip(self._inputs, seen, strict=True)}
        state = PolicyState(hidden=before[0], cell=before[1], logits=before[2]) if before else None
        decided = self.policy.decide_from(self.policy.features(inputs), state, lambda_NM)
        probability_NM = self.policy.probability(decided.logits_BSD2)[:, 0]
        after = decided.state
        return (probability_NM, after.hidden, after.cell, after.logits) if before else (probability_NM,)


def networks(model: AdaMML, config: AdaMMLConfig) -> Mapping[str, Network]:
    """``recognition.NAME`` (``x -> logits``) for every modality, and ``policy``; the examples have two rows."""
    found = {
        f"recognition.{name}": Network(
            module=model.recognition[name], inputs={"x": _example(model, config, name)}, outputs=("logits",), site=name
        )
        for name in model.modalities
    }
    seen = tuple(dict.fromkeys(config.seen_by_policy(m) for m in model.modalities))
    pictures = {name: _example(model, config, name) for name in seen}
    zeros = model.policy.initial_state(next(iter(pictures.values())))
    # Copies: one tensor in two places would be one input of an exported graph.
    state = {name: getattr(zeros, name).clone() for name in STATE} if model.policy.lstm is not None else {}
    weights = next(iter(pictures.values())).new_ones(2, len(model.modalities))
    condition = {"lambda": weights} if config.conditioned else {}
    found["policy"] = Network(
        module=PolicyStep(model.policy, seen).eval(),
        inputs={**pictures, **condition, **state},
        outputs=("probability", *state),
        state=tuple(state),
    )
    return found


def _example(model: AdaMML, config: AdaMMLConfig, name: str) -> Tensor:
    """``x_NTCHW`` of two segments, seeded noise."""
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, *MODALITIES[name].shape(config.data), generator=generator).to(device)
