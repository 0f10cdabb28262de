"""From the lines of a manifest to the names of their cache entries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainables.kit.data.cache import Source
from trainables.kit.data.decode import WHOLE, Part
from trainables.kit.data.hashing import Progress, hash_files, hash_json, remembered_hashes
from trainables.kit.data.manifest import Video


def entries_of(videos: Sequence[Video], cache: Path, on_progress: Progress | None = None) -> list[tuple[str, Source]]:
    """Name and source of every video's entry, in order. A file that is not remembered in ``cache`` is read once, for its hash.

    Raises:
        OSError: a file is missing or unreadable.
    """
    sources = [source_of(video) for video in videos]
    shas = hash_files([video.path for video in videos], cache, on_progress)
    return [(_entry_name(sha, source), source) for sha, source in zip(shas, sources, strict=True)]


def remembered_entry(video: Video, cache: Path) -> str | None:
    """Name of a video's entry if its file's hash is remembered in ``cache``, though the file may be gone; nothing is read."""
    sha = remembered_hashes(cache).get(str(video.path))
    return None if sha is None else _entry_name(sha, source_of(video))


def source_of(video: Video) -> Source:
    """The part of a file that a line names."""
    start_s = WHOLE.start_s if video.start_s is None else video.start_s
    end_s = WHOLE.end_s if video.end_s is None else video.end_s
    return Source(path=video.path, part=Part(start_s=start_s, end_s=end_s))


def _entry_name(sha: str, source: Source) -> str:
    """Name of a video's cache entry: the content's hash, for a part that of the content and the part."""
    part = source.part
    return sha if part.whole else hash_json([sha, str(part.start_s), str(part.end_s)])
