"""When everything is: the frames and the sound of many videos on their own clocks. Imports no torch.

Axes: ``N`` video of the data set, ``B`` video of the batch, ``S`` segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainables.kit.data.config import DataConfig
from trainables.kit.data.segments import SegmentSpec, end_frames, first_samples


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """When everything is, for all videos. ``edges_s`` holds the videos' frame edges one after the other."""

    frames_N: np.ndarray
    edges_s: np.ndarray
    edge_offset_N: np.ndarray
    sound_start_s_N: np.ndarray
    sound_samples_N: np.ndarray  # 0: no sound track

    def edge_s(self, video_B: np.ndarray, frame_BS: np.ndarray) -> np.ndarray:
        """Presentation time of frames (or of the end, for the index one past the last), ``[B, S]``."""
        return self.edges_s[self.edge_offset_N[video_B][:, None] + frame_BS]

    def bounds_s(self, spec: SegmentSpec, video_B: np.ndarray, start_BS: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """When the spans of segments that start at frames ``start_BS`` begin and end, each ``[B, S]``."""
        end_BS = end_frames(spec, start_BS, self.frames_N[video_B])
        return self.edge_s(video_B, start_BS), self.edge_s(video_B, end_BS)

    def sound_first(self, config: DataConfig, video_B: np.ndarray, start_BS: np.ndarray) -> np.ndarray:
        """First sample of the windows of sound that are centred on these segments, ``[B, S]``."""
        spec, audio = SegmentSpec.of(config.segments), config.audio
        if audio.frame_rate is None:
            begin_s, end_s = self.bounds_s(spec, video_B, start_BS)
            sound_start_s = self.sound_start_s_N[video_B][:, None]
        else:
            end_BS = end_frames(spec, start_BS, self.frames_N[video_B])
            begin_s, end_s = start_BS / audio.frame_rate, end_BS / audio.frame_rate
            sound_start_s = np.zeros((len(video_B), 1))
        return first_samples(
            begin_s=begin_s,
            end_s=end_s,
            sound_start_s=sound_start_s,
            window=audio.samples,
            sample_rate=audio.sample_rate,
        )

    def sound_grid(self, config: DataConfig) -> np.ndarray | None:
        """Where the windows of every video lie: its first sample modulo the hop, ``[N]``.

        None where the segments that a video may have do not begin whole hops apart: then no spectrogram serves them all.
        """
        if not config.segments.grid:
            return None
        spec, offset_N = SegmentSpec.of(config.segments), np.zeros(len(self.frames_N), dtype=np.int64)
        for video, starts in enumerate(spec.starts(self.frames_N).tolist()):
            start_BS = np.arange(starts)[None] * spec.unit()
            places_S = self.sound_first(config, np.array([video]), start_BS)[0] % config.audio.hop
            if (places_S != places_S[0]).any():
                return None
            offset_N[video] = places_S[0]
        return offset_N


def make_timeline(
    edges: Sequence[np.ndarray], sound_start_s: Sequence[float], sound_samples: Sequence[int]
) -> Timeline:
    """Lay the videos' times one after the other."""
    lengths = np.array([len(edge) for edge in edges], dtype=np.int64)
    return Timeline(
        frames_N=lengths - 1,
        edges_s=np.concatenate(edges),
        edge_offset_N=np.cumsum(lengths) - lengths,
        sound_start_s_N=np.asarray(sound_start_s, dtype=np.float64),
        sound_samples_N=np.asarray(sound_samples, dtype=np.int64),
    )
