"""Errors that people can act on.

    UserError                 what a person can put right: printed without a stack trace, exit code 2
    ├── InvalidInput          several broken rules found together, one line each
    ├── ManifestError         a manifest that cannot be read as one
    └── DecodeError           a media file that does not decode; names the file and the reason
    StageFailed               training went wrong (NaN loss, no data); exit code 1

``explorer.errors`` continues the tree. ``assert`` marks our own bugs.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """Wrong input: the message names the rule, the value received and the remedy."""


class InvalidInput(UserError):
    """Every rule that an input breaks, found before any work starts.

    ``problems`` holds one line each, in the order of the input.
    """

    def __init__(self, subject: str, problems: Iterable[str]) -> None:
        self.subject = subject
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"{subject}: {count} problem{'s' if count != 1 else ''}\n{lines}")


class ManifestError(UserError):
    """The manifest is missing, or a line of it is not what the format asks for."""


class DecodeError(UserError):
    """A media file does not decode. ``path`` and ``reason`` say which and why."""

    def __init__(self, path: Path | str, reason: str, remedy: str = "repair, replace or leave out the file") -> None:
        self.path = Path(path)
        self.reason = reason
        super().__init__(f"{path}: {reason}; {remedy}")


class StageFailed(Exception):
    """A stage cannot give a usable result, for example because its loss is NaN."""
