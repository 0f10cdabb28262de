"""Video files through AdaMML: the policy looks at every segment, a recognition net runs on the chosen ones only.

What is skipped is not decoded (as far as the codec allows, see ``kit.data.seek``), not transformed and not computed. The
chosen segments of several videos go through a modality's net together. An input that only recognition needs (flow, where the
policy sees frame differences) is read for the chosen segments alone.

Axes: ``B`` video, ``S`` segment, ``M`` modality, ``C`` class, ``N`` chosen segment.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from trainables.adamml.conditioning import lambda_of
from trainables.adamml.config import AdaMMLConfig
from trainables.adamml.model import AdaMML, fuse
from trainables.adamml.policy import PolicyState
from trainables.contract import CONVENTIONS, Convention, CostTable, Decision, Prediction, SegmentPrediction
from trainables.errors import UserError
from trainables.kit.data.dataset import LoadedFile, load_file
from trainables.kit.data.modalities import MODALITIES
from trainables.kit.measure.modality import POLICY_MODES
from trainables.kit.measure.replay import threshold_of
from trainables.kit.memory import keep_freed_memory

VIDEOS_AT_ONCE = 32  # at most, whose chosen segments are computed together,
BYTES_AT_ONCE = 256 << 20  # and no more than make inputs of this size, which are held in memory
SEGMENTS_AT_ONCE = 32  # through a net; more are no faster on a processor, and a GPU is busy with these
FUSED = "fused."
Got = TypeVar("Got")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some segments of an opened file. ``seen``: what the policy looks at; ``chosen``: what recognition reads beside it."""

    loaded: LoadedFile
    segments: Sequence[int]
    seen: Mapping[str, Tensor]
    chosen: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Runner:
    """A network, how it decides, and what its parts cost: all that stays the same from video to video."""

    model: AdaMML
    config: AdaMMLConfig
    knobs: Mapping[str, float]
    cost: CostTable
    mode: str

    def predict(self, videos: Sequence[Path]) -> Iterator[Prediction | UserError]:
        """One answer a video, in order: its prediction, or why it does not decode."""
        keep_freed_memory()  # stacking a window's inputs took 16 % of a small net's time without, 6 % with
        waiting, together = iter(videos), videos_at_once(self.config)
        with ThreadPoolExecutor(max_workers=min(together, os.cpu_count() or 1)) as pool:
            while window := list(islice(waiting, together)):
                yield from self._together(window, pool)

    def stream(self, video: Path) -> Iterator[SegmentPrediction]:
        """Each segment's decisions as soon as it is seen, and the prediction so far; the last is that of the whole video."""
        loaded = load_file(video, self.config.data)
        state: PolicyState | None = None
        total_C = torch.zeros(self.model.classes)
        used: list[Tensor] = []
        for segment in range(len(loaded.start_s_S)):
            with torch.no_grad():  # not around the yield: it would hold in the caller's code too
                piece = self._piece(loaded, [segment])
                seen = self._seen([piece])
                wanted_BSM, state = self._wanted([piece], seen, state)
                use_SM = self._choose(piece, wanted_BSM[0])
                total_C = total_C + self._recognise([piece], seen, use_SM[None])[0]
            used.append(use_SM[0])
            yield SegmentPrediction(
                index=segment,
                start_s=loaded.start_s_S[segment],
                end_s=loaded.end_s_S[segment],
                decisions=self._decisions(piece, use_SM),
                probability_C=(total_C / len(used)).softmax(-1).tolist(),
                gmacs=self._gmacs(torch.stack(used)),
            )

    @torch.no_grad()
    def _together(self, videos: Sequence[Path], pool: ThreadPoolExecutor) -> list[Prediction | UserError]:
        """Files are read side by side; what one of them lacks does not keep the others from an answer."""
        answers: dict[int, Prediction | UserError] = {}
        opened = list(pool.map(lambda video: _or_error(lambda: self._open(video)), videos))
        pieces = {n: each for n, each in enumerate(opened) if isinstance(each, Piece)}
        if pieces:
            seen = self._seen(list(pieces.values()))
            wanted_BSM, _ = self._wanted(list(pieces.values()), seen, None)
            chosen = pool.map(lambda p, w: _or_error(lambda: self._choose(p, w)), pieces.values(), wanted_BSM)
            use = dict(zip(pieces, chosen, strict=True))
            good = {n: use_SM for n, use_SM in use.items() if isinstance(use_SM, Tensor)}
            if good:
                if len(good) < len(pieces):
                    rows = [row for row, n in enumerate(pieces) if n in good]
                    seen = {name: x_BSTCHW[rows] for name, x_BSTCHW in seen.items()}
                logits_BC = self._recognise([pieces[n] for n in good], seen, torch.stack(list(good.values())))
                for logits_C, (n, use_SM) in zip(logits_BC, good.items(), strict=True):
                    answers[n] = Prediction(
                        probability_C=logits_C.softmax(-1).tolist(),
                        decisions=self._decisions(pieces[n], use_SM),
                        gmacs=self._gmacs(use_SM),
                    )
            answers |= {n: problem for n, problem in use.items() if isinstance(problem, UserError)}
        answers |= {n: problem for n, problem in enumerate(opened) if isinstance(problem, UserError)}
        return [answers[n] for n in range(len(videos))]

    def _open(self, video: Path) -> Piece:
        loaded = load_file(video, self.config.data)
        return self._piece(loaded, range(len(loaded.start_s_S)))

    def _piece(self, loaded: LoadedFile, segments: Sequence[int]) -> Piece:
        seen: dict[str, Tensor] = {}
        if self.mode in POLICY_MODES:
            names = sorted({self.config.seen_by_policy(m) for m in self.model.modalities})
            seen = {name: loaded.read(name, segments) for name in names}
        return Piece(loaded=loaded, segments=segments, seen=seen, chosen={})

    def _seen(self, pieces: Sequence[Piece]) -> dict[str, Tensor]:
        """What the policy looks at, of all pieces: ``BSTCHW`` by input."""
        return {name: self._stacked([piece.seen[name] for piece in pieces]) for name in pieces[0].seen}

    def _wanted(
        self, pieces: Sequence[Piece], seen: Mapping[str, Tensor], state: PolicyState | None
    ) -> tuple[Tensor, PolicyState | None]:
        """``wanted_BSM`` as booleans, whether or not there is a signal; and the policy's state after it."""
        modalities = self.model.modalities
        shape = (len(pieces), len(pieces[0].segments), len(modalities))
        if self.mode in POLICY_MODES:
            policy = self.model.policy
            weights_1M = lambda_of(self.config, self.knobs)  # of a policy that knows them; the same for every video
            lambda_BM = None if weights_1M is None else weights_1M.expand(len(pieces), -1)
            decided = policy.decide_from(policy.features(seen), state, lambda_BM)
            limit = torch.tensor([threshold_of(self.knobs, m) for m in modalities])
            if self.mode == "sampled":
                limit = torch.rand(shape)
            return policy.probability(decided.logits_BSD2).float().cpu() > limit, decided.state
        if self.mode == "random":
            return torch.rand(shape) < 0.5, None
        only = self.mode.removeprefix("only.")
        return torch.tensor([only == self.mode or m == only for m in modalities]).expand(shape), None

    def _choose(self, piece: Piece, wanted_SM: Tensor) -> Tensor:
        """``use_SM``; an absent modality is never used. Reads what recognition needs beside what is there."""
        use_SM, fused = wanted_SM.clone(), self.mode.startswith(FUSED)
        for i, m in enumerate(self.model.modalities):
            if use_SM[:, i].any():
                present = piece.loaded.present(m)
                if not all(present):
                    use_SM[:, i] &= torch.tensor([present[segment] for segment in piece.segments])
            if m in piece.seen:
                continue
            # The fused baselines look at everything there is.
            rows = range(len(use_SM)) if fused else use_SM[:, i].nonzero()[:, 0].tolist()
            if rows:
                piece.chosen[m] = piece.loaded.read(m, [piece.segments[row] for row in rows])
        return use_SM

    def _recognise(self, pieces: Sequence[Piece], seen: Mapping[str, Tensor], use_BSM: Tensor) -> Tensor:
        """``logits_BC`` on the CPU."""
        model, use_BSM = self.model, use_BSM.to(self._device)
        if self.mode.startswith(FUSED):
            everything = {m: self._stacked([piece.chosen[m] for piece in pieces]) for m in model.modalities}
            contribution_BSMC = model.fused(self.mode.removeprefix(FUSED), everything, use_BSM.float())
        else:
            inputs = {
                m: x for i, m in enumerate(model.modalities) if (x := self._used(m, pieces, seen, use_BSM[..., i]))
            }
            contribution_BSMC = model.contributions(logits_of_chosen(model, inputs, use_BSM))
        return fuse(contribution_BSMC, use_BSM.float()).float().cpu()

    def _used(self, m: str, pieces: Sequence[Piece], seen: Mapping[str, Tensor], use_BS: Tensor) -> list[Tensor]:
        """The inputs of the chosen segments in order, ``NTCHW``, in batches; none where nothing is chosen."""
        if not use_BS.any():
            return []
        if m not in seen:
            x_NTCHW = torch.cat([piece.chosen[m] for piece in pieces if m in piece.chosen]).to(self._device)
        elif use_BS.all():
            x_NTCHW = seen[m].flatten(0, 1)  # nothing is copied
        else:
            x_NTCHW = seen[m][use_BS]
        return list(x_NTCHW.split(SEGMENTS_AT_ONCE))

    def _decisions(self, piece: Piece, use_SM: Tensor) -> list[Decision]:
        return [
            Decision(
                site=m,
                index=segment,
                start_s=piece.loaded.start_s_S[segment],
                end_s=piece.loaded.end_s_S[segment],
                choice="use" if use_SM[row, i] else "skip",
            )
            for row, segment in enumerate(piece.segments)
            for i, m in enumerate(self.model.modalities)
        ]

    def _gmacs(self, use_SM: Tensor) -> dict[Convention, float]:
        """What ran for so many segments; the policy is charged where it decides."""
        rates: dict[str, float] = {m: float(use_SM[:, i].float().mean()) for i, m in enumerate(self.model.modalities)}
        always = self.cost.always_macs if self.mode in POLICY_MODES else dict.fromkeys(CONVENTIONS, 0)
        charged = CostTable(per_segment_macs=self.cost.per_segment_macs, always_macs=always, segments=len(use_SM))
        return {convention: charged.at_rates_gmacs(convention, rates) for convention in CONVENTIONS}

    def _stacked(self, inputs: Sequence[Tensor]) -> Tensor:
        together = inputs[0][None] if len(inputs) == 1 else torch.stack(list(inputs))
        return together.to(self._device)

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device


def videos_at_once(config: AdaMMLConfig) -> int:
    """How many videos are computed together: few segments of one video leave a small net waiting for its calls."""
    shapes = [MODALITIES[m].shape(config.data) for m in config.data.inputs]
    a_video = config.data.segments.test * sum(math.prod(shape) for shape in shapes) * torch.float32.itemsize
    return max(1, min(VIDEOS_AT_ONCE, BYTES_AT_ONCE // a_video))


def logits_of_chosen(model: AdaMML, inputs: Mapping[str, Sequence[Tensor]], use_BSM: Tensor) -> Tensor:
    """``logits_BSMC``, zeros where nothing is used. ``inputs``: by modality, batches ``NTCHW`` of the chosen segments in order."""
    logits_BSMC = torch.zeros(*use_BSM.shape, model.classes, device=use_BSM.device)
    for i, m in enumerate(model.modalities):
        if m in inputs:
            net = model.recognition[m]
            logits_BSMC[:, :, i][use_BSM[:, :, i]] = torch.cat([net(x_NTCHW) for x_NTCHW in inputs[m]])
    return logits_BSMC


def _or_error(work: Callable[[], Got]) -> Got | UserError:
    try:
        return work()
    except UserError as error:
        return error
