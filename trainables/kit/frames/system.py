"""What every system does alike that decides frame by frame: :class:`FrameSystem`. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainables.contract import Replay
from trainables.kit.frames.knobs import DRAW, DRAWS
from trainables.kit.measure.settings import SettingReplay
from trainables.kit.video_system import VideoSystem


class FrameSystem(VideoSystem):
    """A decision changes what is seen later, so the replay table holds the outcome of each setting of the knobs."""

    def default_settings(self, config: Any) -> Sequence[Mapping[str, float]]:
        return tuple({DRAW: n} for n in range(DRAWS)) if config.test_decisions == "sample" else ({},)

    def replay_from(self, arrays: Mapping[str, np.ndarray], config: Any) -> Replay:
        return SettingReplay.from_arrays(arrays)
