"""Video files, and folders of numbered pictures, below a folder, found by any of their names."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from trainables.errors import UserError
from trainables.kit.data.frame_folder import has_numbered_pictures
from trainables.kit.data.importers.entry import FileName

EXTENSIONS = frozenset(
    f".{name}"
    for names in ("mp4 m4v mov mkv webm avi wmv flv f4v mpg mpeg", "m2ts mts ts 3gp 3g2 ogv vob divx asf gif")
    for name in names.split()
)


def is_video(path: Path) -> bool:
    """By its extension."""
    return path.suffix.lower() in EXTENSIONS


def walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder, sorted; links to folders are followed, each folder is entered once, those above it never.

    A folder of numbered pictures, without a video or another folder in it, is one video: it is given in their place.
    """
    above = [os.stat(parent) for parent in folder.resolve().parents]
    entered = {(status.st_dev, status.st_ino) for status in above}
    for place, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in entered:  # a link that leads back
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders.sort()
        if not folders and has_numbered_pictures(names) and not any(is_video(Path(name)) for name in names):
            yield Path(place)
            continue
        yield from (Path(place, name) for name in sorted(names))


class FileIndex:
    """The videos below ``root`` by path and by name, with and without extension."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise UserError(f"the folder of the files must be one, got {root}; name it with --root")
        self.root = root.resolve()
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in walk(self.root):
            inside = path.relative_to(self.root)
            if path.is_dir():
                for name in {str(inside), path.name}:
                    self._by_name[name].append(path)
            elif is_video(path):
                for name in {str(inside), str(inside.with_suffix("")), path.name, path.stem}:
                    self._by_name[name].append(path)

    def find(self, name: str) -> list[Path]:
        """Files of a name: as a whole path, as a path below the root, or as the name only."""
        direct = Path(name)
        if direct.is_absolute() and direct.is_file():
            return [direct]
        clean = os.path.normpath(name)
        for known in (clean, os.path.splitext(clean)[0] if is_video(direct) else clean, os.path.basename(clean)):
            if known in self._by_name:
                return self._by_name[known]
        return []

    def first(self, files: Sequence[FileName], hints: Sequence[str]) -> tuple[FileName, list[Path]] | None:
        """The first of the names that any file has. Of several files those whose folders are named like a hint."""
        for file in files:
            if found := self.find(file.name):
                folded = {fold(hint) for hint in hints}
                near = [p for p in found if folded & {fold(part) for part in p.relative_to(p.anchor).parts[:-1]}]
                return file, near if len(found) > 1 and near else found
        return None


def fold(name: str) -> str:
    """A class or folder name without what people vary: case, underscores, spaces."""
    return " ".join(name.replace("_", " ").casefold().split())
