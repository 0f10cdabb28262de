"""One video file through AdaMML: the policy looks at every segment, a recognition net runs on the chosen ones only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.model import AdaMML, fuse
from trainables.contract import CONVENTIONS, Batch, CostTable, Decision, Prediction
from trainables.kit.data.dataset import load_file
from trainables.kit.measure.replay import DEFAULT_THRESHOLD


def predict(
    model: nn.Module, config: AdaMMLConfig, video: Path, *, knobs: Mapping[str, float], cost: CostTable, mode: str
) -> Prediction:
    """Class probabilities, the decision for each segment and modality, and the cost of what ran.

    Raises:
        DecodeError: the file does not decode.
    """
    assert isinstance(model, AdaMML)
    loaded = load_file(video, config.data)
    batch = loaded.batch.to(next(model.parameters()).device)
    with torch.no_grad():
        use_BSM = _decide(model, batch, knobs, mode)
        logits_C = fuse(model.chosen_logits(batch.inputs, use_BSM), use_BSM)[0]
    use_SM = use_BSM[0].bool().cpu()
    decisions = [
        Decision(
            site=name,
            index=segment,
            start_s=loaded.start_s_S[segment],
            end_s=loaded.end_s_S[segment],
            choice="use" if use_SM[segment, m] else "skip",
        )
        for segment in range(len(use_SM))
        for m, name in enumerate(model.modalities)
    ]
    rates: dict[str, float] = {name: float(use_SM[:, m].float().mean()) for m, name in enumerate(model.modalities)}
    policy_ran = mode == "policy"
    gmacs = {
        c: cost.at_rates_gmacs(c, rates) - (0 if policy_ran else cost.always_macs[c] * cost.segments / 1e9)
        for c in CONVENTIONS
    }
    return Prediction(probability_C=logits_C.softmax(-1).tolist(), decisions=decisions, gmacs=gmacs)


def _decide(model: AdaMML, batch: Batch, knobs: Mapping[str, float], mode: str) -> Tensor:
    """``use_BSM`` as 0 and 1; an absent modality is never used."""
    if mode == "policy":
        thresholds_M = torch.tensor([knobs.get(f"threshold.{m}", DEFAULT_THRESHOLD) for m in model.modalities])
        use_BSM = model.policy(batch.inputs).softmax(-1)[..., 1] > thresholds_M.to(batch.present_BSM.device)
    elif mode == "random":
        use_BSM = torch.rand(batch.present_BSM.shape, device=batch.present_BSM.device) < 0.5
    else:
        wanted = model.modalities if mode == "all_on" else (mode.removeprefix("only."),)
        use_M = torch.tensor([m in wanted for m in model.modalities], device=batch.present_BSM.device)
        use_BSM = use_M.expand_as(batch.present_BSM)
    return (use_BSM & batch.present_BSM).float()
