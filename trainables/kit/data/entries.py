"""From the lines of a manifest to the names of their cache entries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainables.errors import InvalidInput
from trainables.kit.data.cache import Source
from trainables.kit.data.decode import WHOLE, Part
from trainables.kit.data.hashing import Progress, changed_files, hash_files, hash_json, remembered_hashes
from trainables.kit.data.manifest import Video


def entries_of(videos: Sequence[Video], cache: Path, on_progress: Progress | None = None) -> list[tuple[str, Source]]:
    """Name and source of every video's entry, in order. A file that is not remembered in ``cache`` is read once, for its hash.

    Raises:
        InvalidInput: files are missing or unreadable, or their content is not what the manifest says (``sha256``). All of them
            are named.
    """
    sources = [source_of(video) for video in videos]
    shas = hash_files([video.path for video in videos], cache, on_progress)
    expected = {video.path: video.sha256 for video in videos if video.sha256 is not None}
    if problems := changed_files(expected, {video.path: sha for video, sha in zip(videos, shas, strict=True)}):
        raise InvalidInput("videos that have changed", problems)
    return [(_entry_name(sha, source), source) for sha, source in zip(shas, sources, strict=True)]


def remembered_entry(video: Video, cache: Path) -> str | None:
    """Name of a video's entry if its file's hash is remembered in ``cache``, though the file may be gone; nothing is read."""
    sha = remembered_hashes(cache).get(str(video.path))
    return None if sha is None else _entry_name(sha, source_of(video))


def source_of(video: Video) -> Source:
    """The part of a file that a line names."""
    start_s = WHOLE.start_s if video.start_s is None else video.start_s
    end_s = WHOLE.end_s if video.end_s is None else video.end_s
    return Source(path=video.path, part=Part(start_s=start_s, end_s=end_s), fps=video.fps)


def _entry_name(sha: str, source: Source) -> str:
    """Name of a video's cache entry: the content's hash, for a part that of the content and the part."""
    part, rate = source.part, [] if source.fps is None else [f"{source.fps:g} fps"]
    return sha if part.whole and not rate else hash_json([sha, str(part.start_s), str(part.end_s), *rate])
