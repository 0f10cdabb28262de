"""What the modalities made of frames have in common: windows, crops, mirroring, normalisation. Imports no torch by itself.

Axes: ``B`` video, ``S`` segment, ``T`` frame, ``K`` consecutive entry of the track, ``C`` channel (``c``: of the track),
``H`` ``W`` pixel rows and columns.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from trainables.kit.data.draws import shift_of
from trainables.kit.data.modalities.base import FrameTrack, Modality, Segments, Shape

if TYPE_CHECKING:
    import torch

    from trainables.kit.data.config import DataConfig


_PIECE = 2**18  # numbers


class VideoModality(Modality):
    """A modality that reads ``window`` consecutive entries of its track at each sampled frame.

    ``reach``: how many frames after the sampled one these entries need. A window that would cross the end of the clip
    is moved back to end there, so that it shows real motion; a clip shorter than a window repeats its last frame.
    ``offset`` and ``scale`` normalise the channels (x - offset) / scale, one cycle of channels after the other.
    """

    kind = "video"
    recognition = "resnet50"
    settings: ClassVar[tuple[str, ...]] = (
        "frame_size",
        "cache",
        "crop_size",
        "augment.resize",
        "augment.flip",
        "augment.shift_pixels",
    )
    channels: ClassVar[int]
    window: ClassVar[int] = 1
    reach: ClassVar[int] = 0
    offset: ClassVar[tuple[float, ...]]
    scale: ClassVar[tuple[float, ...]]

    def shape(self, data: DataConfig) -> Shape:
        return (data.segments.frames, self.channels, data.crop_size, data.crop_size)

    def stack(self, window: np.ndarray) -> np.ndarray:
        """Entries ``[..., K, c, H, W]`` to channels ``[..., C, H, W]``: here those of entry 0, then of entry 1, ..."""
        entries, channels, height, width = window.shape[-4:]
        return window.reshape(*window.shape[:-4], entries * channels, height, width)

    def mirror(self, entries: np.ndarray) -> np.ndarray:
        """Left and right of entries ``[..., H, W, c]``, as they are cached, exchanged: a copy."""
        import torch

        # A fifth of the time that copying numpy's reversed view takes.
        return torch.from_numpy(np.ascontiguousarray(entries)).flip(-2).numpy()

    def read(self, segments: Segments) -> torch.Tensor:
        import torch

        draws, augment = segments.draws, segments.config.augment
        if draws is not None and augment.resize is not None:
            return self._normalise(self._random_crops(segments))
        entries = segments.clips.pictures(self.tracks[0], segments.video_B, self.window_indices(segments))
        if draws is not None:
            if augment.flip and (flip_B := draws.crop_B4(self.name)[:, 3] < augment.flip).any():
                entries = entries.copy()
                entries[flip_B] = self.mirror(entries[flip_B])
            if augment.shift_pixels:
                entries = shift_pictures(entries, draws.shift_BS2(self.name), augment.shift_pixels)
        return self._normalise(torch.from_numpy(self.stack(channels_first(entries))))

    def window_indices(self, segments: Segments) -> np.ndarray:
        """Entries of the track to read, int64 ``[B, S, T, K]``."""
        last_B111 = segments.clips.frames_N[segments.video_B][:, None, None, None] - 1
        first_BST1 = np.minimum(segments.frame_BST[..., None], np.maximum(last_B111 - self.reach, 0))
        return np.minimum(first_BST1 + np.arange(self.window), last_B111)

    def _random_crops(self, segments: Segments) -> torch.Tensor:
        import torch

        assert segments.draws is not None
        crop_B4 = segments.draws.crop_B4(self.name)
        crops = []
        for video, index_STK, crop_4 in zip(segments.video_B, self.window_indices(segments), crop_B4, strict=True):
            crops.append(
                self.random_crop(segments.clips.whole(self.tracks[0], video), index_STK, crop_4, segments.config)
            )
        return torch.stack(crops)

    def random_crop(
        self, track: FrameTrack, index_STK: np.ndarray, crop_4: np.ndarray, config: DataConfig
    ) -> torch.Tensor:
        """AdaMML's training crop, ``[S, T, C, crop, crop]``, not normalised.

        Scaling the shorter side to s and cropping c x c out of that is cropping c * size / s out of the cached frame and
        scaling it to c; the second form touches fewer pixels.
        """
        import torch
        from torch.nn.functional import interpolate

        low, high = config.augment.resize or (config.frame_size, config.frame_size + 1)
        height, width = track.shape[1:3]
        scale, top, left, mirrored = crop_4
        side = min(round(config.crop_size * config.frame_size / int(low + scale * (high - low))), height, width)
        top, left = int(top * (height - side + 1)), int(left * (width - side + 1))
        entries = track[index_STK, top : top + side, left : left + side]
        if mirrored < config.augment.flip:
            entries = self.mirror(entries)
        # In 8 bits, as the release's crops are, and with the channels last: 5 ms for 40 frames, 25 as floats.
        pixels = torch.from_numpy(np.ascontiguousarray(entries)).flatten(0, 2).permute(0, 3, 1, 2)
        size = (config.crop_size, config.crop_size)
        scaled = interpolate(pixels, size=size, mode="bilinear", antialias=True, align_corners=False)
        return torch.from_numpy(self.stack(scaled.unflatten(0, index_STK.shape).contiguous().numpy()))

    def _normalise(self, pictures: torch.Tensor) -> torch.Tensor:
        import torch

        cycles = self.channels // len(self.offset)
        factor_C11 = 1 / torch.tensor(self.scale * cycles)[:, None, None]
        shift_C11 = -torch.tensor(self.offset * cycles)[:, None, None] * factor_C11
        flat, out = pictures.flatten(0, 2), torch.empty(pictures.shape)
        flat_out = out.flatten(0, 2)
        # A piece at a time, which stays in the processor's cache between the operations: 4.8 ms for 40 pictures of 224 pixels, of
        # which 2.9 are the first write; subtracting and dividing took 6.3.
        step = max(1, _PIECE // math.prod(pictures.shape[-3:]))
        for first in range(0, len(flat), step):
            piece = slice(first, first + step)
            flat_out[piece].copy_(flat[piece]).mul_(factor_C11).add_(shift_C11)
        return out


def channels_first(entries: np.ndarray) -> np.ndarray:
    """``[..., H, W, c]`` as cached to ``[..., c, H, W]`` as networks want it, a copy."""
    return np.ascontiguousarray(np.moveaxis(entries, -1, -3))


def centre_box(shape: tuple[int, ...], size: int) -> tuple[slice, slice]:
    """Rows and columns of the middle ``size`` x ``size`` of ``(..., H, W, C)``."""
    top, left = (shape[-3] - size) // 2, (shape[-2] - size) // 2
    return slice(top, top + size), slice(left, left + size)


def shift_pictures(pictures: np.ndarray, uniform_BS2: np.ndarray, most: int) -> np.ndarray:
    """Every segment's pictures ``[B, S, ..., H, W, c]`` moved by up to ``most`` rows and columns.

    The border repeats where nothing moves in.
    """
    height, width = pictures.shape[-3:-1]
    shift_BS2 = shift_of(uniform_BS2, most)
    out = np.empty_like(pictures)
    # By shift, not by segment: there are (2 most + 1)^2 of the former, and each is two slices.
    padded = np.pad(pictures, [(0, 0)] * (pictures.ndim - 3) + [(most, most)] * 2 + [(0, 0)], mode="edge")
    for down in range(-most, most + 1):
        for right in range(-most, most + 1):
            chosen = (shift_BS2[..., 0] == down) & (shift_BS2[..., 1] == right)
            if chosen.any():
                top, left = most - down, most - right
                out[chosen] = padded[chosen][..., top : top + height, left : left + width, :]
    return out
