"""Seconds instead of multiply-accumulates: what a video takes on one machine, part by part. No torch.

Measured by :meth:`trainables.contract.System.measure_time`; an operating point's time follows from its selection rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field


class TimedPart(BaseModel):
    """One step of processing a video.

    ``seconds``: a video of which every segment needs it. ``sites``: whose use needs it; ``policy``: the policy needs it for
    every segment, whatever it then decides. ``by_segment``: only the segments that need it pay for it; else the whole video
    does as soon as one needs it (a file is decoded or it is not).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: Literal["preprocess", "network"]
    seconds: float = Field(ge=0, allow_inf_nan=False)
    sites: tuple[str, ...]
    policy: bool = False
    by_segment: bool = True

    def at(self, rates: Mapping[str, float], *, policy: bool) -> float:
        """Seconds a video at mean selection rates; ``policy``: whether a policy decides (a forced mode runs none).

        Of several sites that need a part the most used one counts: exact where the others' segments are among its own.
        """
        if policy and self.policy:
            return self.seconds
        most = max((rates.get(site, 0.0) for site in self.sites), default=0.0)
        if not self.by_segment:
            return self.seconds if most > 0 else 0.0
        return self.seconds * most


class TimeTable(BaseModel):
    """All parts, in the order in which they run, and on what they were measured.

    ``videos``: how many files the medians are over. ``threads``: of torch. ``batch``: segments that a network is given at
    once (those of one video).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: tuple[TimedPart, ...]
    videos: int
    batch: int
    device: str
    threads: int
    torch: str

    def seconds(self, rates: Mapping[str, float], *, policy: bool) -> dict[str, float]:
        """Seconds a video by part; their sum is the whole."""
        return {part.name: part.at(rates, policy=policy) for part in self.parts}

    def network_s(self, rates: Mapping[str, float], *, policy: bool) -> float:
        """The networks alone, a video."""
        return sum(part.at(rates, policy=policy) for part in self.parts if part.kind == "network")

    def total_s(self, rates: Mapping[str, float], *, policy: bool) -> float:
        """Decoding, transforms, flow and networks, a video."""
        return sum(part.at(rates, policy=policy) for part in self.parts)

    @classmethod
    def from_json(cls, raw: Any) -> Self:
        """What ``model_dump(mode="json")`` gave. Raises ``pydantic.ValidationError``."""
        return cls.model_validate(raw)
