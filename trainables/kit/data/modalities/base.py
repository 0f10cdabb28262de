"""What a modality is, and what it is given to read a batch from. Imports no torch.

Axes: ``B`` video, ``S`` segment, ``T`` frame (sound: step), ``K`` consecutive frame, ``C`` channel, ``H`` ``W`` pixel rows
and columns, ``F`` band.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

    from trainables.kit.data.config import DataConfig
    from trainables.kit.data.draws import Draws

TrackName = Literal["frames", "sound", "flow"]
TRACKS: tuple[TrackName, ...] = ("frames", "sound", "flow")  # flow is computed from frames, so it comes after them
Shape = tuple[int, int, int, int]


class FrameTrack(Protocol):
    """Frames, or flow, of one video: uint8 ``[F, H, W, C]``, an array or something that reads like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(F, H, W, C)``."""

    def __getitem__(self, key: tuple[np.ndarray, slice, slice]) -> np.ndarray:
        """A box of some of the frames."""


class Clips(Protocol):
    """Decoded videos by number: of a data set, packed or not, or a single one."""

    @property
    def tracks(self) -> Sequence[TrackName]:
        """What is there to be read."""

    @property
    def frames_N(self) -> np.ndarray:
        """Number of frames of every video."""

    @property
    def sound_samples_N(self) -> np.ndarray:
        """Length of every sound track in samples; 0: there is none."""

    def whole(self, track: TrackName, video: int) -> FrameTrack:
        """All of one video, uncropped. A pack of centre crops has no such thing."""

    def pictures(self, track: TrackName, video_B: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Centre crops uint8 ``[*index.shape, crop, crop, C]``; ``index`` has the videos as its first axis."""

    def sounds(self, video_B: np.ndarray, first_BS: np.ndarray) -> np.ndarray:
        """Spectrograms of the windows that begin at samples ``first_BS``, float16 ``[B, S, T, F]``; silence outside the tracks."""


@dataclass(frozen=True, kw_only=True)
class Segments:
    """The segments of a batch, for every modality alike.

    ``frame_BST``: the frames to look at. ``sample_BS``: first sample of the window of sound that is centred on
    the segment; it may lie before the track's beginning or after its end. ``draws``: None as in a test, else augment.
    """

    clips: Clips
    config: DataConfig
    video_B: np.ndarray
    frame_BST: np.ndarray
    sample_BS: np.ndarray
    draws: Draws | None = None


class Modality(abc.ABC):
    """One kind of input. Its instances hold nothing; ``modalities/__init__.py`` lists them by name.

    ``tracks``: what it needs of a decoded video. ``settings``: dotted names of the ``DataConfig`` fields that can change
    its inputs, beside the ones that change every modality's. ``default_lambda``: the paper's efficiency weight.
    ``recognition`` and ``policy``: names of the paper's backbones. ``recipe``: raised when the same settings give other inputs
    than before, so that no result of the old ones is taken for one of the new.
    """

    name: ClassVar[str]
    kind: ClassVar[Literal["video", "sound"]]
    tracks: ClassVar[tuple[TrackName, ...]]
    settings: ClassVar[tuple[str, ...]]
    default_lambda: ClassVar[float] = 1.0
    recognition: ClassVar[str]
    policy: ClassVar[str] = "mobilenet_v2"
    recipe: ClassVar[int] = 1

    @abc.abstractmethod
    def shape(self, data: DataConfig) -> Shape:
        """``(T, C, H, W)`` of one segment; sound is ``(1, 1, bands, steps)``."""

    def policy_charge(self, data: DataConfig) -> Shape | None:
        """The input at which the paper's convention charges the policy's net, where that is not what it is given."""
        return None

    @abc.abstractmethod
    def read(self, segments: Segments) -> torch.Tensor:
        """The normalised input of the segments, float32 ``BSTCHW``; augmented if draws are given."""

    def present(self, segments: Segments) -> np.ndarray:
        """Bool ``BS``: whether there is a signal. Frames always are: a file without them does not decode."""
        return np.ones(segments.sample_BS.shape, dtype=bool)
