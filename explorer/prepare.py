"""Decode everything a search space reads before it is trained on. ``explorer data prepare`` is this; no Ray in here."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import UserError

if TYPE_CHECKING:
    from explorer.spec.space import SearchSpace
    from trainables.contract import StageJob
    from trainables.kit.data.cache import ClipCache, Make
    from trainables.kit.data.forecast import Forecast
    from trainables.kit.data.hashing import Progress
    from trainables.kit.data.modalities import TrackName

_SETTINGS = re.compile(r"(frames|sound|flow)-[0-9a-f]{16}")
# What shows progress: called with what is counted, gives a context with a function of (done, total).
Shown = Callable[[str], AbstractContextManager["Progress | None"]]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What was done. ``cache_bytes``: of the folders that the space reads; ``stale_bytes``: of what it does not read."""

    cache: Path
    stored: str
    videos: int
    made: int
    seconds: float
    need_bytes: int
    basis: str
    cache_bytes: int
    stale_bytes: int

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "cache": str(self.cache)}


def prepare(
    space: SearchSpace,
    *,
    make: Make | None = None,
    on_forecast: Callable[[Forecast], None] = lambda forecast: None,
    shown: Shown = lambda what: nullcontext(),
    clean: bool = False,
) -> Prepared:
    """Bring the cache that the space's sweep reads up to date; what is there is left alone.

    ``make``: who decodes, by default all cores of this machine. ``clean``: delete the folders and packs of the storage's cache
    that this space does not read.

    Raises:
        UserError: the system reads no videos, the manifest is broken, files do not decode (all are named; the others are
            cached), or the disk cannot hold it.
    """
    from trainables.kit.data.cache import ClipCache, decode_all
    from trainables.kit.data.config import DataConfig
    from trainables.kit.data.dataset import VideoData
    from trainables.kit.data.entries import entries_of
    from trainables.kit.data.forecast import forecast
    from trainables.kit.data.manifest import read_manifest
    from trainables.kit.data.pack import pack_names

    data = getattr(space.base_config(), "data", None)
    if not isinstance(data, DataConfig):
        raise UserError(f"a space to prepare must read videos, got {space.name} of system {space.system}")
    manifest = read_manifest(data.manifest)
    root = space.cache_folder
    with shown("files read") as on_progress:
        files = entries_of(manifest.videos, root, on_progress)
    store = ClipCache(root, data)
    expected = forecast(store, dict(files), manifest.path)
    on_forecast(expected)
    expected.require_room(root)
    began = time.monotonic()
    with shown("videos") as on_progress:
        VideoData(data, root, on_progress, make or decode_all)
    seconds = time.monotonic() - began
    if data.cache_url is not None:
        with shown("tracks copied") as on_progress:
            store.publish([name for name, _ in files], on_progress)
    stale = list(_stale(store, pack_names([name for name, _ in files], data)))
    stale_bytes = sum(map(size_of, stale))
    if clean:
        for path in stale:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return Prepared(
        cache=root,
        stored=data.cache_format,
        videos=expected.videos,
        made=expected.missing,
        seconds=seconds,
        need_bytes=expected.need_bytes,
        basis=expected.basis,
        cache_bytes=sum(map(size_of, store.folders.values())) - (0 if clean else _packs_in(stale)),
        stale_bytes=stale_bytes,
    )


def prepare_data(space: SearchSpace, named: Mapping[str, tuple[StageJob, ...]]) -> None:
    """What a sweep does first: decode what the configurations of its trials and of the ``named`` chains read, each thing once.

    Raises:
        UserError: files do not decode.
    """
    system = space.load_system()
    configs = [space.base_config()]
    configs += [system.Config.model_validate(dict(jobs[-1].config)) for jobs in named.values()]
    parts = {json.dumps(system.data_part(config), sort_keys=True, default=str): config for config in configs}
    for config in parts.values():
        system.prepare_data(config, space.cache_folder)


def _stale(store: ClipCache, packs: Mapping[TrackName, tuple[str, ...]]) -> Iterator[Path]:
    """Folders of other settings, and packs of other data in the folders of these."""
    used = {folder: packs[track] for track, folder in store.folders.items()}
    yield from (path for path in sorted(store.root.iterdir()) if _SETTINGS.fullmatch(path.name) and path not in used)
    for folder, names in used.items():
        yield from (path for path in sorted(folder.glob("pack-*.npy")) if path.name not in names)


def _packs_in(paths: list[Path]) -> int:
    return sum(size_of(path) for path in paths if path.is_file())


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
