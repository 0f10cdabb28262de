"""The tree of errors. What is printed for a person, and with which exit code, is decided by it alone.

    UserError                     a person can put it right: message without a stack trace, exit code 2
    ├── InvalidInput              several broken rules found together, one line each
    │   └── SpecError             a search space with broken rules
    ├── ManifestError             a manifest that cannot be read as one
    ├── DecodeError               a media file that does not decode
    ├── NotFound                  no sweep, point or file of that name
    ├── NoPoint                   no point of a front meets the wish (budget, accuracy)
    ├── SweepMismatch             a sweep was begun with another search space than it is resumed with
    └── SweepBusy                 another process is running the sweep
    ExplorerFailure               work that was begun went wrong: message, exit code 1
    ├── CheckpointMissing         the store does not hold a key that something needs
    ├── TrackingFailed            the MLflow server does not answer, or refuses
    └── SweepFailed               a sweep ended without what was asked of it
        └── NoTrialSucceeded      every one of its trials failed
    StageFailed                   training went wrong (NaN loss, no data): exit code 1

``assert`` marks our own bugs, which keep their stack trace.
"""

from __future__ import annotations

from trainables.errors import DecodeError, InvalidInput, ManifestError, StageFailed, UserError

__all__ = [
    "FAILURES",
    "CheckpointMissing",
    "DecodeError",
    "ExplorerFailure",
    "InvalidInput",
    "ManifestError",
    "NoPoint",
    "NoTrialSucceeded",
    "NotFound",
    "SpecError",
    "StageFailed",
    "SweepBusy",
    "SweepFailed",
    "SweepMismatch",
    "TrackingFailed",
    "UserError",
]


class SpecError(InvalidInput):
    """A search space that breaks rules; every one of them is in ``problems``, each with its line."""


class NotFound(UserError):
    """Something was asked for by a name that nothing has."""


class NoPoint(UserError):
    """No operating point meets what was asked for. The message names the nearest one."""


class SweepMismatch(UserError):
    """A sweep's folder belongs to another search space than the one it is resumed with."""


class SweepBusy(UserError):
    """A sweep can be run by one process at a time, and one is running it."""


class ExplorerFailure(Exception):
    """Something went wrong during the work, through no fault of the input."""


class CheckpointMissing(ExplorerFailure):
    """The store does not (or, after a failed checksum, no longer) hold a stage's checkpoint."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the store has no whole checkpoint {key}; run the sweep again to train it")


class TrackingFailed(ExplorerFailure):
    """MLflow was asked for something (a registered model) and does not answer, or refuses."""


class SweepFailed(ExplorerFailure):
    """A sweep ended without what was asked of it."""


class NoTrialSucceeded(SweepFailed):
    """Every trial of a sweep failed, by itself: the sweep ran to its end."""


FAILURES: tuple[type[Exception], ...] = (ExplorerFailure, StageFailed)
