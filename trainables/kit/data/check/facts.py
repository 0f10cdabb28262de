"""What is known of one file after it was decoded."""

from __future__ import annotations

from dataclasses import dataclass

from trainables.kit.data.check.reasons import Note, Reason


@dataclass(frozen=True, kw_only=True)
class PictureFacts:
    """Times in seconds of the file's clock. ``frame_rate`` is the mean; ``width`` and ``height`` before the rotation.

    ``rotation``: degrees counter-clockwise that turn the picture upright. ``streams``: how many there were to choose
    from, covers left out; ``stream`` is the index of the one chosen.
    """

    stream: int
    streams: int
    codec: str
    start_s: float
    end_s: float
    announced_s: float | None
    frames: int
    frame_rate: float
    variable_rate: bool
    longest_frame_s: float
    width: int
    height: int
    rotation: int


@dataclass(frozen=True, kw_only=True)
class SoundFacts:
    """Times in seconds of the file's clock, which picture and sound share."""

    stream: int
    streams: int
    codec: str
    start_s: float
    end_s: float
    announced_s: float | None
    sample_rate: int
    channels: int


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a file holds. ``reason`` None: it is good. ``passing``: the reason may be gone next time (a hang, no access).

    ``fps``: how many pictures of a folder were taken for a second.
    """

    reason: Reason | None = None
    detail: str = ""
    notes: tuple[Note, ...] = ()
    size_bytes: int | None = None
    mtime_ns: int | None = None
    sha256: str | None = None
    picture: PictureFacts | None = None
    sound: SoundFacts | None = None
    passing: bool = False
    fps: float | None = None


class Bad(Exception):
    """A file is bad: ``reason`` and ``detail`` say why. ``doubtful``: a second decoder may see it otherwise.

    ``passing``: see :class:`Probe`. ``in_sound``: the picture may be whole.
    """

    def __init__(
        self, reason: Reason, detail: str, *, doubtful: bool = False, passing: bool = False, in_sound: bool = False
    ) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail
        self.doubtful = doubtful
        self.passing = passing
        self.in_sound = in_sound
