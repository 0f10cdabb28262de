"""The toy network: a skill for each modality and a threshold for each modality, learnt by gradient descent."""

from __future__ import annotations

import errno
import os
import time

import numpy as np
import torch
from torch import Tensor, nn

from trainables.contract import Batch, Loss, StepContext
from trainables.toy import surface
from trainables.toy.config import MODALITIES, ToyConfig


class ToyNet(nn.Module):
    """``recognition.NAME.skill`` and ``policy.threshold_M`` are all that it learns."""

    def __init__(self, config: ToyConfig, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.quality = surface.quality(config)
        skills = {name: Skill() for name in MODALITIES}
        self.recognition = nn.ModuleDict(skills)
        self.policy = Threshold(len(MODALITIES))

    def skill(self) -> Tensor:
        """``skill_M``."""
        return torch.stack(list(self.recognition.parameters()))

    @torch.no_grad()
    def preview(self, config: ToyConfig, skill_M: np.ndarray) -> None:
        """Take on these skills, and the thresholds that the joint stage's steps lead to."""
        for parameter, skill in zip(self.recognition.parameters(), skill_M, strict=True):
            parameter.fill_(float(skill))
        joint = config.stages.joint
        left = (1 - joint.lr) ** joint.epochs
        goal_M = torch.tensor([surface.threshold(config, name) for name in MODALITIES])
        self.policy.threshold_M.copy_(goal_M + left * (self.policy.threshold_M - goal_M))

    def segment_logits(self, batch: Batch) -> Tensor:
        """``logits_BSMC`` as :mod:`trainables.toy.surface` states them."""
        relevance_BSM, label_B, index_B = batch.inputs["relevance"], batch.label_B, batch.index_B.numpy()
        strength_M = relevance_BSM.new_tensor([surface.STRENGTH[name] for name in MODALITIES])
        distraction_M = relevance_BSM.new_tensor([surface.DISTRACTION[name] for name in MODALITIES])
        noise_BSM = torch.from_numpy(surface.noise(index_B, relevance_BSM.shape[1])).to(relevance_BSM)
        evidence_BSM = strength_M * (self.skill() * relevance_BSM - distraction_M + noise_BSM)
        difficulty_B = torch.from_numpy(surface.difficulty(index_B)).to(relevance_BSM)
        against_BSM = strength_M * surface.DIFFICULTY * difficulty_B[:, None, None].expand_as(relevance_BSM)
        return self._to_class(evidence_BSM, label_B) + self._to_class(against_BSM, (label_B + 1) % self.classes)

    def _to_class(self, value_BSM: Tensor, class_B: Tensor) -> Tensor:
        one_hot_BC = nn.functional.one_hot(class_B, self.classes).to(value_BSM.dtype)
        return value_BSM[..., None] * one_hot_BC[:, None, None, :]

    def use_probability(self, batch: Batch) -> Tensor:
        """``p_BSM``."""
        relevance_BSM = batch.inputs["relevance"]
        blur = surface.blur(batch.index_B.numpy(), relevance_BSM.shape[1], self.quality)
        seen_BSM = relevance_BSM + torch.from_numpy(blur).to(relevance_BSM)
        return torch.sigmoid(surface.SHARPNESS * (seen_BSM - self.policy.threshold_M))


class Skill(nn.Module):
    """How well a recognition net reads what is there, from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.skill = nn.Parameter(torch.zeros(()))


class Threshold(nn.Module):
    """Relevance from which on the policy uses a segment; half before training."""

    def __init__(self, modalities: int) -> None:
        super().__init__()
        self.threshold_M = nn.Parameter(torch.full((modalities,), 0.5))


def step(model: ToyNet, config: ToyConfig, batch: Batch, context: StepContext) -> Loss:
    """Quadratic losses with known minima: skill 1, and the thresholds that lambda asks for."""
    del batch
    if config.epoch_s:
        time.sleep(config.epoch_s)
    if context.pass_name == "recognition":
        total = ((model.skill() - 1) ** 2).sum() / 2
    else:
        goal_M = model.policy.threshold_M.new_tensor([surface.threshold(config, name) for name in MODALITIES])
        total = ((model.policy.threshold_M - goal_M) ** 2).sum() / 2
    return Loss(total=_with_fault(total, config, context), logs={})


def _with_fault(total: Tensor, config: ToyConfig, context: StepContext) -> Tensor:
    fault = config.fault
    if fault.kind == "none" or context.stage != fault.stage or config.lambda_.rgb < fault.above_lambda_rgb:
        return total
    if fault.kind == "nan":
        return total * float("nan")
    if fault.kind == "memory":
        raise MemoryError(f"fault asked for in stage {context.stage}")
    if fault.kind == "disk_full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise RuntimeError(f"fault asked for in stage {context.stage}")
