"""What the configurations of systems that decide frame by frame have in common. Imports no torch."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from trainables.contract import SystemConfig
from trainables.kit.data.config import DataConfig

INPUT = "rgb"  # the one modality: pictures
EVERY_FRAME = (
    "every_frame"  # the mode in which every network sees every frame by itself (:mod:`trainables.kit.frames.each`)
)


class ComputeConfig(SystemConfig):
    """How a step is computed. ``accumulate``: parts of a batch. ``precision``: ``bfloat16`` is autocast."""

    accumulate: int = Field(1, ge=1)
    precision: Literal["float32", "bfloat16"] = "float32"


class FrameKnobsConfig(SystemConfig):
    """What is measured, and can be set after training. Every further field of a subclass is the values of a bias.

    ``frames``: further numbers of frames. ``sampled``: whether drawing decisions in the place of the likeliest is measured as well.
    """

    frames: tuple[int, ...] = ()
    sampled: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in type(self).model_fields:
            if name not in FrameKnobsConfig.model_fields and 0 not in getattr(self, name):
                raise ValueError(
                    f"knobs.{name} must hold 0, the policy as it was trained, got {list(getattr(self, name))}"
                )
        if any(count < 1 for count in self.frames):
            raise ValueError(f"knobs.frames must be 1 or more each, got {list(self.frames)}")
        return self


class FrameConfig(SystemConfig):
    """Base of a trial's configuration. ``test_decisions``: ``sample`` draws in validation and test, as the authors' releases do."""

    decides: ClassVar[str] = "a decision a frame"

    test_decisions: Literal["argmax", "sample"] = "argmax"
    knobs: FrameKnobsConfig
    compute: ComputeConfig = ComputeConfig()
    data: DataConfig

    @model_validator(mode="before")
    @classmethod
    def _one_modality(cls, raw: Any) -> Any:
        """``data.modalities`` need not be said: there is one."""
        if isinstance(raw, dict) and isinstance(raw.get("data"), dict):
            return {**raw, "data": {"modalities": [INPUT], **raw["data"]}}
        return raw

    @model_validator(mode="after")
    def _decides_frames(self) -> Self:
        if self.data.modalities != (INPUT,):
            raise ValueError(
                f"data.modalities must be [{INPUT}]: this system looks at frames, got {list(self.data.modalities)}"
            )
        if self.data.segments.frames != 1:
            raise ValueError(f"data.segments.frames must be 1, {self.decides}, got {self.data.segments.frames}")
        return self
