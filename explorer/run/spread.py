"""Decoding on all nodes of a Ray cluster. The nodes write into one shared folder; the driver holds its locks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import UserError
from explorer.run.cluster import cluster

if TYPE_CHECKING:
    from trainables.kit.data.cache import ClipCache, Make, Source

CHUNK = 8  # files a task: seconds of work, so that little is repeated and progress is seen
AHEAD = 2  # tasks handed out a core


@contextmanager
def spread_over(address: str) -> Iterator[Make]:
    """What makes cache entries on the cluster at ``address`` (``auto``: the one that runs here; ``local``: a new one).

    Raises:
        UserError: there is none.
    """
    with cluster(address):
        yield _make


def _make(cache: ClipCache, files: Mapping[str, Source]) -> Iterator[str | None]:
    """One answer a file, as :data:`trainables.kit.data.cache.Make` promises."""
    import ray
    from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

    from trainables.kit.data.cache import decode_all

    task = ray.remote(num_cpus=1, scheduling_strategy="SPREAD", max_retries=1)(_decode)
    config = cache.config.model_dump(mode="json")
    left = iter(files.items())
    chunks = list(iter(lambda: dict(islice(left, CHUNK)), {}))[::-1]
    most = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
    died = (WorkerCrashedError, NodeDiedError, OutOfMemoryError)
    running: dict[Any, dict[str, Source]] = {}
    good: list[str] = []
    while chunks or running:
        while chunks and len(running) < most:
            chunk = chunks.pop()
            running[task.remote(cache.root.resolve(), config, chunk)] = chunk
        (done, *_), _ = ray.wait(list(running), num_returns=1)
        chunk = running.pop(done)
        try:
            answers = ray.get(done)
        except died as error:  # its process or node died
            if len(chunk) == 1:
                (source,) = chunk.values()
                answers = dict.fromkeys(
                    chunk, f"{source.path}: its decoder died ({type(error).__name__}); check the file"
                )
            else:  # one by one, to learn on which file
                chunks += [{name: source} for name, source in chunk.items()]
                continue
        good += [name for name, problem in answers.items() if problem is None]
        yield from answers.values()
    lost = cache.missing(good)
    if lost and config["cache_url"] is not None:  # the nodes published them
        assert set(decode_all(cache, {name: files[name] for name in lost})) == {None}
    elif lost:
        raise UserError(
            f"storage must be a folder that all nodes share, got {cache.root}: {len(lost)} of {len(good)} entries that nodes "
            "wrote are not there; choose shared storage, or give --to URL, from where each machine fetches them"
        )


def _decode(root: Path, config: dict[str, Any], files: dict[str, Source]) -> dict[str, str | None]:
    """In a worker on some node: None, or why the file does not decode."""
    import torch

    from trainables.kit.data.cache import ClipCache, decode_all
    from trainables.kit.data.config import DataConfig

    torch.set_num_threads(1)
    cache = ClipCache(root, DataConfig.model_validate(config))
    for folder in cache.folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    answers = {name: next(decode_all(cache, {name: source}, workers=1)) for name, source in files.items()}
    cache.publish([name for name, problem in answers.items() if problem is None])
    return answers
