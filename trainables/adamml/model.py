"""AdaMML: recognition nets, policy and fusion in one module (Panda et al., ICCV 2021, section 3).

Axes: ``B`` video, ``S`` segment, ``M`` modality in the order of ``data.modalities``, ``T`` frame, ``C`` class.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.fusion import CONTRIBUTIONS, FC2Fusion, max_of_present, shared_out
from trainables.adamml.policy import Policy
from trainables.adamml.recognition import RecognitionNet
from trainables.kit import noise
from trainables.kit.nets.seeds import own_seed

_DROPOUT = 16  # purposes of the noise: above the policy's


class AdaMML(nn.Module):
    """``recognition``, ``policy`` and ``fusion`` are the groups that train; ``fusion`` holds one for each name.

    ``adaptive_fusion``: the one that the stages with a policy use; the others belong to baselines.
    """

    def __init__(self, config: AdaMMLConfig, classes: int) -> None:
        super().__init__()
        self.modalities = config.data.modalities
        self.classes = classes
        self.adaptive_fusion = config.fusion
        nets: dict[str, RecognitionNet] = {}
        for m in self.modalities:
            with own_seed(f"recognition.{m}"):
                nets[m] = RecognitionNet(config, m, classes)
        self.recognition = nn.ModuleDict(nets)
        with own_seed("policy"):
            self.policy = Policy(config)
        self.fusion = nn.ModuleDict({name: make(len(self.modalities), classes) for name, make in CONTRIBUTIONS.items()})
        with own_seed("fusion.fc2"):
            dims = [net.backbone.dim for net in nets.values()]
            self.fusion["fc2"] = FC2Fusion(dims, config.recognition.fc2_hidden, classes)
        # On GPUs only: torch 2.13's compiler for CPUs crashes the process in the backward pass of small_conv.
        if config.compute.compile and torch.cuda.is_available():
            for net in (*self.recognition.values(), self.policy):
                net.compile()

    def recognise(self, modality: str, x_BSTCHW: Tensor, key_BS: Tensor | None = None) -> Tensor:
        """``logits_BSC`` of one modality on every segment."""
        videos, segments = x_BSTCHW.shape[:2]
        key_N = self._dropout_keys(modality, key_BS)
        return self.recognition[modality](x_BSTCHW.flatten(0, 1), key_N).view(videos, segments, self.classes)

    def recognise_chosen(self, modality: str, x_BSTCHW: Tensor, use_BS: Tensor, key_BS: Tensor | None = None) -> Tensor:
        """As :meth:`recognise`, but the net runs on the segments where ``use_BS``; zeros elsewhere.

        Where none is chosen it runs on an empty batch: every rank calls every net, as synchronised batch norm requires.
        """
        chosen_BS = use_BS.bool()
        key_N = self._dropout_keys(modality, key_BS[chosen_BS] if key_BS is not None else None)
        logits_NC = self.recognition[modality](x_BSTCHW[chosen_BS], key_N)
        return logits_NC.new_zeros(*chosen_BS.shape, self.classes).index_put((chosen_BS,), logits_NC)

    def all_logits(self, inputs: Mapping[str, Tensor], key_BS: Tensor | None = None) -> Tensor:
        """``logits_BSMC`` of every segment, without fusion weights: the dense computation."""
        return torch.stack([self.recognise(m, inputs[m], key_BS) for m in self.modalities], 2)

    def chosen_logits(self, inputs: Mapping[str, Tensor], use_BSM: Tensor, key_BS: Tensor | None = None) -> Tensor:
        """``logits_BSMC`` as :meth:`all_logits`, computed where ``use_BSM``, zeros elsewhere: the sparse computation."""
        parts = [self.recognise_chosen(m, inputs[m], use_BSM[..., i], key_BS) for i, m in enumerate(self.modalities)]
        return torch.stack(parts, 2)

    def contributions(self, logits_BSMC: Tensor) -> Tensor:
        """``contribution_BSMC`` of the adaptive fusion: what each modality adds where it is used."""
        return self.fusion[self.adaptive_fusion](logits_BSMC)

    def fused(
        self, name: str, inputs: Mapping[str, Tensor], present_BSM: Tensor, key_BS: Tensor | None = None
    ) -> Tensor:
        """``contribution_BSMC`` of the fusion called ``name`` with everything used; absent modalities give zeros."""
        there_BSM1 = present_BSM.bool()[..., None]
        if name == "fc2":
            return shared_out(self.fusion["fc2"](self._features(inputs, there_BSM1, key_BS)), present_BSM)
        logits_BSMC = self.all_logits(inputs, key_BS)
        if name == "max":
            return shared_out(max_of_present(logits_BSMC, present_BSM), present_BSM)
        return self.fusion[name](logits_BSMC) * there_BSM1

    def _features(self, inputs: Mapping[str, Tensor], there_BSM1: Tensor, key_BS: Tensor | None) -> Tensor:
        features = []
        for i, m in enumerate(self.modalities):
            net, x_BSTCHW = self.recognition[m], inputs[m]
            assert isinstance(net, RecognitionNet)
            feature_ND = net.features(x_BSTCHW.flatten(0, 1), self._dropout_keys(m, key_BS))
            features.append(feature_ND.view(*x_BSTCHW.shape[:2], -1) * there_BSM1[:, :, i])
        return torch.cat(features, -1)

    def _dropout_keys(self, modality: str, key: Tensor | None) -> Tensor | None:
        """``key_N``: of each segment, other than the policy's and the other modalities'."""
        return None if key is None else noise.keys(_DROPOUT + self.modalities.index(modality), key.flatten())


def fuse(contribution_BSMC: Tensor, use_BSM: Tensor) -> Tensor:
    """``logits_BC``: sum over the used modalities, mean over all segments; nothing used counts as zeros."""
    return (contribution_BSMC * use_BSM[..., None]).sum(2).mean(1)
