"""A folder of class folders, also below a folder for each split: ``train/bowling/a.mp4``, or ``.../a/00001.jpg``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from trainables.errors import UserError
from trainables.kit.data.importers.entry import Entry, FileName, Item, LeftOut, Options, Unresolved
from trainables.kit.data.importers.files import is_video, walk
from trainables.kit.data.importers.text import SPLIT_NAMES


class Folders:
    """See the module."""

    about = "a folder of class folders, or of train, val, test with class folders in them"

    def recognises(self, source: Path) -> bool:
        """Any folder."""
        return source.is_dir()

    def read(self, sources: Sequence[Path], options: Options) -> Iterator[Item]:
        """Every video file below a class folder. What is no video is counted, a class folder without any is told."""
        for source in sources:
            if not source.is_dir():
                raise UserError(f"a folder of class folders must be a folder, got {source}")
            inside = sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith("."))
            splits = {path: SPLIT_NAMES[path.name.casefold()] for path in inside if path.name.casefold() in SPLIT_NAMES}
            if splits and len(splits) == len(inside):
                for folder, split in splits.items():
                    yield from self._classes(folder, source, split)
            else:
                yield from self._classes(source, source, None)

    def classes(self, sources: Sequence[Path]) -> None:
        """The folders' names, which the entries bring along."""

    def _classes(self, folder: Path, source: Path, split: str | None) -> Iterator[Item]:
        places = sorted(folder.iterdir())
        if not any(place.is_dir() and not place.name.startswith(".") for place in places):
            raise UserError(f"no class folders in {folder}: put each class in a folder of its own, as bowling/a.mp4")
        for place in places:
            where = str(place.relative_to(source))
            if not place.is_dir():
                yield _beside(place, where)
                continue
            items = [_item(path, source, place.name, split) for path in walk(place)]
            yield from items
            if not any(isinstance(item, Entry) for item in items) and not place.name.startswith("."):
                yield Unresolved(where=where, id=place.name, trouble="no_file", detail="a class folder without a video")


def _beside(path: Path, where: str) -> Item:
    """A file that is in no class folder."""
    if path.name.startswith("."):
        return LeftOut(where=where, rule="hidden_file")
    if not is_video(path):
        return LeftOut(where=where, rule="no_video_file", detail="beside class folders")
    detail = "a video beside the class folders: put it into the folder of its class"
    return Unresolved(where=where, id=where, trouble="no_label", detail=detail)


def _item(path: Path, source: Path, label: str, split: str | None) -> Item:
    inside = path.relative_to(source)
    where = str(inside)
    if any(part.startswith(".") for part in inside.parts):
        return LeftOut(where=where, rule="hidden_file")
    if path.is_dir():
        if path.name == label:
            detail = "pictures beside each other in a class folder: put those of each video into a folder of its own"
            return Unresolved(where=where, id=where, trouble="no_file", detail=detail)
    elif not is_video(path):
        return LeftOut(where=where, rule="no_video_file", detail="not the extension of a video")
    return Entry(where=where, id=where, files=(FileName(name=str(path.absolute())),), labels=(label,), split=split)
