"""Where a trial may be stopped early: after some epochs of a stage that is measured, and between two stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainables.contract import Stage


@dataclass(frozen=True, kw_only=True)
class Rung:
    """A place where trials are compared: ``epochs`` of ``stage`` are done; None = all of it, however many that are."""

    stage: str
    epochs: int | None = None

    @property
    def name(self) -> str:
        return self.stage if self.epochs is None else f"{self.stage}:{self.epochs}"

    def __str__(self) -> str:
        return f"the end of stage {self.stage}" if self.epochs is None else f"epoch {self.epochs} of stage {self.stage}"

    @classmethod
    def parse(cls, name: str) -> Rung:
        """The inverse of :attr:`name`."""
        stage, _, epochs = name.partition(":")
        return cls(stage=stage, epochs=int(epochs) if epochs else None)


def rungs_of(stages: Sequence[Stage], *, reduction_factor: int, grace_epochs: int) -> tuple[Rung, ...]:
    """The rungs of a trial with ``stages``, in the order in which it reaches them.

    In a stage whose every epoch is measured: after ``grace_epochs``, then at ``reduction_factor`` times the epochs of the one
    before, as long as ``reduction_factor`` times as many would not exceed the stage (what is left would not be worth a stop).
    Then the end of each measured stage that another one follows. They do not depend on how long the stage is, so that trials of
    different lengths meet. There is none in what is measured as a baseline: trials that share it are all equal there, and it is
    not yet what they will be (AdaMML's unimodal nets).
    """
    found: list[Rung] = []
    for stage in (stage for stage in stages if stage.baseline is None):
        epochs = grace_epochs
        while stage.candidates == "every" and epochs * reduction_factor <= stage.epochs:
            found.append(Rung(stage=stage.name, epochs=epochs))
            epochs *= reduction_factor
        if stage.candidates != "none" and stage is not stages[-1]:
            found.append(Rung(stage=stage.name))
    return tuple(found)
