"""Clips to network inputs: cut the segments out, augment, normalise.

Axes: ``B`` video, ``S`` segment, ``T`` frame (sound: step), ``C`` colour, ``H`` ``W`` pixel rows and columns, ``F`` band,
``M`` modality.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.nn.functional import interpolate

from trainables.kit.data.cache import Clip
from trainables.kit.data.config import DataConfig
from trainables.kit.data.pack import ClipPack, Timeline, centre_crop
from trainables.kit.data.segments import SegmentSpec, end_frames, first_steps, frame_indices
from trainables.kit.data.spectrogram import SILENCE

# Of ImageNet's training images, in [0, 1]; what torchvision's weights expect.
RGB_MEAN = (0.485, 0.456, 0.406)
RGB_STD = (0.229, 0.224, 0.225)


class Clips(Protocol):
    """Decoded videos by number."""

    @property
    def timeline(self) -> Timeline:
        """When everything is."""

    def __getitem__(self, video: int) -> Clip:
        """One of them."""


@dataclass(frozen=True, kw_only=True)
class Draws:
    """The random numbers of a batch, all uniform in [0, 1). They do not depend on the modalities asked for.

    ``place_BS``: where in its part a segment starts. ``crop_B4``: scale, top, left, mirror of a video's pictures.
    ``shift_BS3``: a segment's own shift of rows, columns, sound steps.
    """

    place_BS: np.ndarray
    crop_B4: np.ndarray
    shift_BS3: np.ndarray

    @classmethod
    def of(cls, rng: np.random.Generator, videos: int, segments: int) -> Draws:
        """Draw for so many videos."""
        return cls(
            place_BS=rng.random((videos, segments)),
            crop_B4=rng.random((videos, 4)),
            shift_BS3=rng.random((videos, segments, 3)),
        )

    def take(self, rows: slice) -> Draws:
        """The draws of some of the videos: a rank's share of a batch that all ranks draw alike."""
        return Draws(place_BS=self.place_BS[rows], crop_B4=self.crop_B4[rows], shift_BS3=self.shift_BS3[rows])


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """``tensors``: rgb ``BSTCHW`` and audio ``BS1FT``, float32. ``present_BSM`` in the order of the modalities asked for."""

    tensors: Mapping[str, torch.Tensor]
    present_BSM: torch.Tensor


class Assembler:
    """Makes inputs from decoded clips, packed or not; with ``draws`` augmented, without them as in a test."""

    def __init__(self, clips: Clips | ClipPack, config: DataConfig) -> None:
        self.clips = clips
        self.config = config
        self.spec = SegmentSpec.of(config.segments)
        self._makers: Mapping[str, Callable[..., torch.Tensor]] = {"rgb": self._rgb, "audio": self._audio}

    def inputs(
        self, video_B: np.ndarray, start_BS: np.ndarray, modalities: Sequence[str], draws: Draws | None = None
    ) -> Inputs:
        """Segments that start at frames ``start_BS`` of videos ``video_B``."""
        frames_B = self.clips.timeline.frames_N[video_B]
        index_BST = frame_indices(self.spec, start_BS, frames_B)
        first_BS = self._first_steps(video_B, start_BS)
        tensors = {name: self._makers[name](video_B, index_BST, first_BS, draws) for name in modalities}
        present = {"rgb": np.ones_like(start_BS, dtype=bool), "audio": self._sounding(video_B, first_BS)}
        return Inputs(
            tensors=tensors, present_BSM=torch.from_numpy(np.stack([present[name] for name in modalities], axis=-1))
        )

    def bounds_s(self, video_B: np.ndarray, start_BS: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """When the segments' spans begin and end, each ``[B, S]``."""
        time = self.clips.timeline
        end_BS = end_frames(self.spec, start_BS, time.frames_N[video_B])
        return time.edge_s(video_B, start_BS), time.edge_s(video_B, end_BS)

    def _first_steps(self, video_B: np.ndarray, start_BS: np.ndarray) -> np.ndarray:
        begin_s, end_s = self.bounds_s(video_B, start_BS)
        return first_steps(
            begin_s=begin_s,
            end_s=end_s,
            sound_start_s=self.clips.timeline.sound_start_s_N[video_B][:, None],
            window_s=self.config.audio.window_s,
            hop_s=self.config.audio.hop_s,
        )

    def _sounding(self, video_B: np.ndarray, first_BS: np.ndarray) -> np.ndarray:
        """Whether any of the window lies within the sound track."""
        return (first_BS < self.clips.timeline.sound_steps_N[video_B][:, None]) & (
            first_BS + self.config.audio.steps > 0
        )

    def _rgb(self, video_B: np.ndarray, index_BST: np.ndarray, _: np.ndarray, draws: Draws | None) -> torch.Tensor:
        config = self.config
        if draws is not None and config.augment.resize is not None:
            assert not isinstance(self.clips, ClipPack), "a pack holds centre crops"
            crops = [
                random_crop(self.clips[video].frames_FHW3[index_ST], crop_4, config)
                for video, index_ST, crop_4 in zip(video_B, index_BST, draws.crop_B4, strict=True)
            ]
            return normalise_rgb(torch.stack(crops))
        if isinstance(self.clips, ClipPack):
            pictures = self.clips.pictures(video_B, index_BST)
        else:
            pictures = np.stack(
                [
                    centre_crop(self.clips[video].frames_FHW3[index_ST], config.crop_size)
                    for video, index_ST in zip(video_B, index_BST, strict=True)
                ]
            )
        if draws is not None:
            pictures = mirror(pictures, draws.crop_B4[:, 3] < config.augment.flip)
            pictures = shift_pictures(pictures, draws.shift_BS3[..., :2], config.augment.shift_pixels)
        return normalise_rgb(torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 1, 2, 5, 3, 4))))

    def _audio(self, video_B: np.ndarray, _: np.ndarray, first_BS: np.ndarray, draws: Draws | None) -> torch.Tensor:
        audio = self.config.audio
        if draws is not None:
            first_BS = first_BS + shift_of(draws.shift_BS3[..., 2], self.config.augment.shift_steps)
        if isinstance(self.clips, ClipPack):
            sound_BSTF = self.clips.sounds(video_B, first_BS, audio.steps)
        else:
            sound_BSTF = np.full((*first_BS.shape, audio.steps, audio.bands), SILENCE, dtype=np.float16)
            for row, video in enumerate(video_B):
                cut_windows(self.clips[video].sound_TF, first_BS[row], sound_BSTF[row])
        sound = torch.from_numpy(sound_BSTF).float().sub_(audio.mean).div_(audio.std)
        return sound.transpose(-1, -2).unsqueeze(2).contiguous()


def normalise_rgb(pictures: torch.Tensor) -> torch.Tensor:
    """Values of [0, 255], axes ``... C H W``, to ImageNet's scale."""
    mean_C11 = torch.tensor(RGB_MEAN)[:, None, None] * 255
    std_C11 = torch.tensor(RGB_STD)[:, None, None] * 255
    return pictures.float().sub_(mean_C11).div_(std_C11)


def random_crop(frames_STHW3: np.ndarray, crop_4: np.ndarray, config: DataConfig) -> torch.Tensor:
    """AdaMML's training crop, float ``[S, T, C, crop, crop]`` in [0, 255].

    Scaling the shorter side to s and cropping c x c out of that is cropping c * size / s out of the cached frame and
    scaling it to c; the second form touches fewer pixels.
    """
    low, high = config.augment.resize or (config.frame_size, config.frame_size + 1)
    height, width = frames_STHW3.shape[2:4]
    scale, top, left, mirrored = crop_4
    shorter = int(low + scale * (high - low))
    side = min(round(config.crop_size * config.frame_size / shorter), height, width)
    top, left = int(top * (height - side + 1)), int(left * (width - side + 1))
    crop = np.ascontiguousarray(frames_STHW3[:, :, top : top + side, left : left + side])
    pictures = torch.from_numpy(crop).flatten(0, 1).permute(0, 3, 1, 2).float()
    size = (config.crop_size, config.crop_size)
    pictures = interpolate(pictures, size=size, mode="bilinear", antialias=True, align_corners=False)
    if mirrored < config.augment.flip:
        pictures = pictures.flip(-1)
    return pictures.unflatten(0, frames_STHW3.shape[:2])


def mirror(pictures_BSTHW3: np.ndarray, flip_B: np.ndarray) -> np.ndarray:
    """Left and right exchanged in some of the videos."""
    if not flip_B.any():
        return pictures_BSTHW3
    return np.where(flip_B[:, None, None, None, None, None], pictures_BSTHW3[..., ::-1, :], pictures_BSTHW3)


def shift_of(uniform: np.ndarray, most: int) -> np.ndarray:
    """Numbers of [0, 1) to whole shifts from ``-most`` to ``most``, all equally likely."""
    return (uniform * (2 * most + 1)).astype(np.int64) - most


def shift_pictures(pictures_BSTHW3: np.ndarray, uniform_BS2: np.ndarray, most: int) -> np.ndarray:
    """Every segment's pictures moved by up to ``most`` rows and columns; the border repeats where nothing moves in."""
    if not most:
        return pictures_BSTHW3
    height, width = pictures_BSTHW3.shape[3:5]
    shift_BS2 = shift_of(uniform_BS2, most)
    out = np.empty_like(pictures_BSTHW3)
    # By shift, not by segment: there are (2 most + 1)^2 of the former, and each is two slices.
    padded = np.pad(pictures_BSTHW3, [(0, 0)] * 3 + [(most, most)] * 2 + [(0, 0)], mode="edge")
    for down in range(-most, most + 1):
        for right in range(-most, most + 1):
            chosen = (shift_BS2[..., 0] == down) & (shift_BS2[..., 1] == right)
            if chosen.any():
                top, left = most - down, most - right
                out[chosen] = padded[chosen][:, :, top : top + height, left : left + width]
    return out


def cut_windows(sound_TF: np.ndarray | None, first_S: np.ndarray, out_STF: np.ndarray) -> None:
    """Write the windows that begin at steps ``first_S`` into ``out_STF``; steps outside the track are left alone."""
    if sound_TF is None:
        return
    steps = out_STF.shape[1]
    for window_TF, first in zip(out_STF, first_S, strict=True):
        begin, end = max(first, 0), min(first + steps, len(sound_TF))
        if begin < end:
            window_TF[begin - first : end - first] = sound_TF[begin:end]
