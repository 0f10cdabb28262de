"""One video file through AdaMML: the policy looks at every segment, a recognition net runs on the chosen ones only.

An input that only recognition needs (flow, where the policy sees frame differences) is read for the chosen segments alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from trainables.adamml.conditioning import lambda_of
from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.model import AdaMML, fuse
from trainables.contract import CONVENTIONS, CostTable, Decision, Prediction
from trainables.kit.data.dataset import LoadedFile, load_file
from trainables.kit.measure.modality import POLICY_MODES
from trainables.kit.measure.replay import threshold_of


def predict(
    model: AdaMML, config: AdaMMLConfig, video: Path, *, knobs: Mapping[str, float], cost: CostTable, mode: str
) -> Prediction:
    """Class probabilities, the decision for each segment and modality, and the cost of what ran.

    Raises:
        DecodeError: the file does not decode.
    """
    loaded = load_file(video, config.data)
    with torch.no_grad():
        use_SM = _decide(model, config, loaded, knobs, mode)
        logits_C = _recognise(model, loaded, use_SM, mode)
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
    always = cost.always_macs if mode in POLICY_MODES else dict.fromkeys(CONVENTIONS, 0)
    charged = CostTable(per_segment_macs=cost.per_segment_macs, always_macs=always, segments=cost.segments)
    return Prediction(
        probability_C=logits_C.softmax(-1).tolist(),
        decisions=decisions,
        gmacs={convention: charged.at_rates_gmacs(convention, rates) for convention in CONVENTIONS},
    )


def _decide(model: AdaMML, config: AdaMMLConfig, loaded: LoadedFile, knobs: Mapping[str, float], mode: str) -> Tensor:
    """``use_SM`` as booleans; an absent modality is never used."""
    segments = len(loaded.start_s_S)
    present_SM = torch.tensor([loaded.present(m) for m in model.modalities]).T
    if mode in POLICY_MODES:
        seen = {config.seen_by_policy(m) for m in model.modalities}
        inputs = {name: _read(model, loaded, name, range(segments))[None] for name in sorted(seen)}
        limit = torch.tensor([threshold_of(knobs, m) for m in model.modalities])
        if mode == "sampled":
            limit = torch.rand(present_SM.shape)
        logits_BSD2 = model.policy(inputs, lambda_of(config, knobs))
        use_SM = model.policy.probability(logits_BSD2)[0].float().cpu() > limit
    elif mode == "random":
        use_SM = torch.rand(present_SM.shape) < 0.5
    else:
        only = mode.removeprefix("only.")
        use_SM = torch.tensor([only == mode or m == only for m in model.modalities]).expand_as(present_SM)
    return use_SM & present_SM


def _recognise(model: AdaMML, loaded: LoadedFile, use_SM: Tensor, mode: str) -> Tensor:
    """``logits_C``, computing only what is used."""
    if mode.startswith("fused."):  # a baseline: everything there is
        every = range(len(use_SM))
        inputs = {m: _read(model, loaded, m, every)[None] for m in model.modalities}
        use_BSM = use_SM[None].to(_device(model)).float()
        return fuse(model.fused(mode.removeprefix("fused."), inputs, use_BSM), use_BSM)[0]
    logits_SMC = torch.zeros(*use_SM.shape, model.classes, device=_device(model))
    for m, name in enumerate(model.modalities):
        chosen = use_SM[:, m].nonzero()[:, 0].tolist()
        if chosen:
            logits_SMC[chosen, m] = model.recognition[name](_read(model, loaded, name, chosen))
    return fuse(model.contributions(logits_SMC[None]), use_SM[None].to(_device(model)).float())[0]


def _read(model: AdaMML, loaded: LoadedFile, name: str, segments: range | list[int]) -> Tensor:
    return loaded.read(name, list(segments)).to(_device(model))


def _device(model: AdaMML) -> torch.device:
    return next(model.parameters()).device
