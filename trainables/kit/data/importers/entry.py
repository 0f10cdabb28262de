"""What every importer makes of its source: entries, and lines of which nothing can be made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Trouble = Literal[
    "no_file", "several_files", "bad_line", "no_label", "label_conflict", "bad_split", "duplicate", "no_fps"
]
# Not in the manifest by rule, so only counted: no label (as in withheld test sets), a class that nobody asked for,
# what is no video or hidden (macOS leaves a hidden ``._a.mp4`` beside every ``a.mp4``).
Leave = Literal["unlabelled", "other_class", "no_video_file", "hidden_file"]


@dataclass(frozen=True, kw_only=True)
class FileName:
    """A name by which a file may be found: a path or only its last part, with extension or without.

    ``is_cut``: a file of this name holds only the part from ``start_s`` to ``end_s``.
    """

    name: str
    is_cut: bool = False


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A video as a source names it. ``where`` says where it stands there; ``labels`` are names or numbers, not both."""

    where: str
    id: str
    files: tuple[FileName, ...]
    labels: tuple[str | int, ...]
    split: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    group: str | None = None

    @property
    def classes(self) -> str:
        """The labels, for people."""
        return ", ".join(map(str, self.labels))


@dataclass(frozen=True, kw_only=True)
class Unresolved:
    """A line that has no place in the manifest although it should have one."""

    where: str
    id: str
    trouble: Trouble
    detail: str


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A line that has no place in the manifest by rule."""

    where: str
    rule: Leave
    detail: str = ""


Item = Entry | Unresolved | LeftOut


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to read a source.

    ``root``: where the files are; None = beside the source. ``classes``: names by label. ``split``: that of every entry,
    instead of what the source says. ``split_as``: other names for splits (``validation`` -> ``test``). ``parts``: each
    annotated part on a line of its own. ``frame_rate``: of frame numbers and of folders of pictures;
    None = only whole files can be told.
    """

    root: Path | None = None
    classes: Sequence[str] | None = None
    split: str | None = None
    split_as: Mapping[str, str] = field(default_factory=dict)
    parts: bool = False
    frame_rate: float | None = None


class Importer(Protocol):
    """One format."""

    about: str

    def recognises(self, source: Path) -> bool:
        """Whether a source looks like this format."""

    def read(self, sources: Sequence[Path], options: Options) -> Iterator[Item]:
        """Everything in the sources.

        Raises:
            UserError: a source is not of this format.
        """

    def classes(self, sources: Sequence[Path]) -> Sequence[str] | None:
        """Class names by label where the format brings them along."""
