"""All settings of the data, and the settings that the two presets use. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainables.contract import Json, SystemConfig
from trainables.kit.data.modalities import MODALITIES, TRACKS, TrackName

# Frames of at least this shorter side are cached as JPEG by default. Smaller ones are raw: sets of them fit into memory, and
# a packed batch of raw frames costs next to nothing.
JPEG_FROM_PIXELS = 128
# Names of what is in the cache by format: another one where the same settings give other pictures than before (jpeg 95 was made
# of RGB, before files' own brightness and colour differences were encoded).
STORED: Mapping[str, str] = {"raw": "raw", "jpeg": "jpeg 95 of planes"}
# Settings that change the inputs of every modality: which videos train, and when a segment is.
SHARED_SETTINGS = ("split_seed", "frame_rate", "segments")

Probability = Annotated[float, Field(ge=0, le=1)]


class AudioConfig(SystemConfig):
    """Sound to log-spectrogram; see ``spectrogram``. ``mels`` None keeps the ``n_fft // 2 + 1`` linear bands.

    ``mean`` and ``std`` standardise the log-spectrogram after the cache: changing them decodes nothing again.
    ``frame_rate`` None centres the window by the presentation times of the segment's frames. A number counts frame f as
    f / ``frame_rate`` seconds after the beginning of the sound, whatever the file says: the authors' release does so, with
    29.97. ``missing``: a segment whose window lies outside the sound track is ``absent``, or it counts as there and is
    heard as silence, as in the release.
    """

    sample_rate: int = Field(default=24_000, ge=1000)
    n_fft: int = Field(default=511, ge=2)
    window: int = Field(default=240, ge=2)
    hop: int = Field(default=120, ge=1)
    mels: int | None = Field(default=None, ge=1)
    window_s: float = Field(default=1.28, gt=0)
    mean: float = 0.0
    std: float = Field(default=1.0, gt=0)
    frame_rate: float | None = Field(default=None, gt=0)
    missing: Literal["absent", "silence"] = "absent"

    @property
    def bands(self) -> int:
        """Height of the spectrogram."""
        return self.mels if self.mels is not None else self.n_fft // 2 + 1

    @property
    def steps(self) -> int:
        """Width of a segment's spectrogram: ``window_s`` in hops."""
        return round(self.window_s * self.sample_rate / self.hop)

    @property
    def samples(self) -> int:
        """Length of a segment's window in samples."""
        return self.steps * self.hop

    @property
    def hop_s(self) -> float:
        """Seconds from one column to the next."""
        return self.hop / self.sample_rate

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.window > self.n_fft:
            raise ValueError(f"window must not exceed n_fft {self.n_fft}, got {self.window}")
        if self.steps < 1:
            raise ValueError(f"window_s must hold at least one hop of {self.hop_s:g} s, got {self.window_s:g}")
        return self


class FlowConfig(SystemConfig):
    """How optical flow is computed; see ``flow``.

    ``method``: ``tvl1`` is the paper's, ``dis`` some fifty to a hundred times faster. ``bound``: motion in pixels a frame that
    the ends of the 8 stored bits stand for; more is cut off.
    """

    method: Literal["tvl1", "dis"] = "tvl1"
    bound: float = Field(default=20.0, gt=0)


class SegmentConfig(SystemConfig):
    """Which frames make a segment, and how many segments a video gives.

    A segment spans ``span_frames`` consecutive frames; its pictures are the frames ``offset``, ``offset + stride``, ...
    of the span. ``grid`` puts segments on multiples of the span only.
    """

    span_frames: int = Field(default=32, ge=1)
    frames: int = Field(default=8, ge=1)
    stride: int = Field(default=4, ge=1)
    offset: int = Field(default=0, ge=0)
    grid: bool = False
    train: int = Field(default=5, ge=1)
    test: int = Field(default=10, ge=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        last = self.offset + (self.frames - 1) * self.stride
        if last >= self.span_frames:
            raise ValueError(
                f"offset + (frames - 1) * stride must be below span_frames {self.span_frames}, got {last}: "
                "lengthen the span or take fewer frames"
            )
        return self


class AugmentConfig(SystemConfig):
    """Changes to training inputs, made after the cache.

    ``resize`` (low, high): shorter side drawn from [low, high), then a random crop of ``crop_size``; None takes the
    centre crop. ``flip``: chance of a mirrored picture. These two are one draw per video and modality, shared by its
    segments, as in AdaMML. ``shift_pixels`` and ``shift_steps`` move the picture and the sound's window by up to that much,
    drawn for each segment and modality.
    """

    resize: tuple[int, int] | None = (256, 320)
    flip: Probability = 0.5
    shift_pixels: int = Field(default=0, ge=0)
    shift_steps: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.resize is not None and not 0 < self.resize[0] < self.resize[1]:
            raise ValueError(f"resize must be (low, high) with 0 < low < high, got {self.resize}")
        if self.resize is not None and self.shift_pixels:
            raise ValueError(
                f"shift_pixels must be 0 beside a random crop, got {self.shift_pixels}: set resize to null"
            )
        return self


class DataConfig(SystemConfig):
    """Everything about the data. The defaults are the paper's (AdaMML, section 4 and its release).

    ``manifest`` is a path. ``modalities``: names of ``modalities.MODALITIES`` that are decided about; ``also``: further
    ones that can be read, such as ``rgbdiff`` as what the policy sees in the place of ``flow``. ``frame_rate``: ``native``
    or frames a second. ``frame_size``: shorter side of the cached frames. ``crop_size``: side of the square that the
    networks see. ``cache``: cached frames and flow are ``raw`` (lossless) or ``jpeg`` (a tenth of the bytes); ``auto`` takes
    JPEG for frames of 128 pixels and more. ``cache_url``: a second home of the cache, as a folder or an fsspec URL
    (``s3://bucket/cache``), written by ``explorer data prepare``: what is there is fetched, not decoded.
    """

    manifest: str
    modalities: tuple[str, ...] = ("rgb", "audio")
    also: tuple[str, ...] = ()
    split_seed: int = Field(default=0, ge=0)
    frame_rate: Literal["native"] | Annotated[float, Field(gt=0)] = "native"
    frame_size: int = Field(default=256, ge=8)
    crop_size: int = Field(default=224, ge=8)
    cache: Literal["auto", "raw", "jpeg"] = "auto"
    cache_url: str | None = None
    audio: AudioConfig = AudioConfig()
    flow: FlowConfig = FlowConfig()
    segments: SegmentConfig = SegmentConfig()
    augment: AugmentConfig = AugmentConfig()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Every modality that can be read."""
        return (*self.modalities, *self.also)

    @property
    def tracks(self) -> tuple[TrackName, ...]:
        """What has to be cached for the inputs. Frames always: they say when the segments are."""
        needed = {"frames", *(track for name in self.inputs for track in MODALITIES[name].tracks)}
        return tuple(track for track in TRACKS if track in needed)

    @property
    def cache_format(self) -> Literal["raw", "jpeg"]:
        """How frames and flow are cached. A function of the settings alone, so that it is the same on every machine."""
        if self.cache != "auto":
            return self.cache
        return "jpeg" if self.frame_size >= JPEG_FROM_PIXELS else "raw"

    def settings_of(self, modalities: Sequence[str]) -> dict[str, Json]:
        """The settings, by dotted name, that can change the inputs of these modalities: what their results depend on."""
        names = {*SHARED_SETTINGS, *(setting for name in modalities for setting in MODALITIES[name].settings)}
        dumped = {**self.model_dump(mode="json"), "cache": STORED[self.cache_format]}
        recipes = {f"{name} recipe": MODALITIES[name].recipe for name in sorted(modalities)}
        return {name: _at(dumped, name) for name in sorted(names)} | {k: v for k, v in recipes.items() if v > 1}

    @model_validator(mode="after")
    def _check(self) -> Self:
        known = ", ".join(MODALITIES)
        if not self.modalities or not _each_once(self.modalities):
            raise ValueError(f"modalities must be a choice of {known}, each once, got {list(self.modalities)}")
        if not _each_once(self.inputs):
            raise ValueError(f"also must name others of {known} than modalities, each once, got {list(self.also)}")
        if self.crop_size > self.frame_size:
            raise ValueError(f"crop_size must not exceed frame_size {self.frame_size}, got {self.crop_size}")
        if self.augment.resize is not None and self.augment.resize[0] < self.crop_size:
            raise ValueError(
                f"augment.resize must start at crop_size {self.crop_size} or above, got {self.augment.resize}"
            )
        return self


def _each_once(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names) and all(name in MODALITIES for name in names)


def _at(values: Json, dotted: str) -> Json:
    for part in dotted.split("."):
        values = values[part]
    return values


# Settings of the two presets, without ``manifest``. ``tiny``: one 32x32 picture and 0.8 s of sound a segment. Its ``mean``
# and ``std`` are round numbers of the right size (measured on 1,400 clips of speech in noise: -2.7 and 3.8); of its motion,
# 99 % is below 5 pixels a frame and 99.9 % below 10.
DATA_PRESETS: Mapping[str, Mapping[str, Json]] = {
    "paper": {},
    "tiny": {
        "frame_rate": 10.0,
        "frame_size": 32,
        "crop_size": 32,
        "audio": {
            "sample_rate": 16_000,
            "n_fft": 400,
            "window": 400,
            "hop": 160,
            "mels": 40,
            "window_s": 0.8,
            "mean": -4.0,
            "std": 4.0,
        },
        "flow": {"method": "dis", "bound": 8.0},
        "segments": {
            "span_frames": 8,
            "frames": 1,
            "stride": 1,
            "offset": 3,
            "grid": True,
            "train": 5,
            "test": 10,
        },
        "augment": {"resize": None, "flip": 0.0, "shift_pixels": 2, "shift_steps": 6},
    },
}
