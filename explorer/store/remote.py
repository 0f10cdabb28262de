"""Storage that is given by URL (``s3://bucket/runs``, whatever fsspec opens), and the local folder that mirrors it.

Sweeps work on the local folder, whose name is the URL; what others need is sent to the URL, and what is missing here is fetched
from there. So everything that takes a path works with both.
"""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from explorer.errors import UserError

MIRRORS = "EXPLORER_MIRRORS"  # environment variable: where the local folders lie
_HERE = Path("~/.cache/adaptive-video-explorer")


def local_root(storage: str) -> Path:
    """The folder to work on: ``storage`` itself, or the one that mirrors its URL."""
    if "://" not in storage:
        return Path(storage)
    return Path(os.environ.get(MIRRORS) or _HERE).expanduser().absolute() / quote(storage.rstrip("/"), safe="")


class Remote:
    """The objects below a URL. Names are relative to it; an object is written whole or not at all, as object stores do."""

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    def of(cls, root: Path) -> Remote | None:
        """What the folder ``root`` mirrors; None for an ordinary folder."""
        url = unquote(root.name)
        return cls(url) if "://" in url else None

    def read(self, name: str) -> bytes | None:
        """An object's bytes; None where there is none."""
        try:
            found: bytes = self._fs.cat_file(self._path(name))
        except FileNotFoundError:
            return None
        return found

    def read_json(self, name: str) -> Any:
        """An object as JSON; None where there is none, or it is damaged."""
        try:
            return json.loads(self.read(name) or b"null")
        except ValueError:
            return None

    def write(self, name: str, content: bytes) -> None:
        self._fs.pipe_file(self._path(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """Write ``name`` unless it is there; False if it is. Atomic where the store knows conditional writes (S3 does)."""
        try:
            self._fs.pipe_file(self._path(name), content, mode="create")
        except FileExistsError:
            return False
        except (TypeError, NotImplementedError):
            if self.exists(name):
                return False
            self.write(name, content)
        return True

    def send(self, file: Path, name: str) -> None:
        self._fs.put_file(str(file), self._path(name))

    def fetch(self, name: str, file: Path) -> None:
        """Raises ``FileNotFoundError``."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self._fs.get_file(self._path(name), str(file))

    def exists(self, name: str) -> bool:
        self._fs.invalidate_cache()
        return bool(self._fs.exists(self._path(name)))

    def names(self, folder: str) -> list[str]:
        """Names of the objects directly below ``folder``, without it."""
        self._fs.invalidate_cache()
        try:
            found = self._fs.ls(self._path(folder), detail=False)
        except FileNotFoundError:
            return []
        return [str(path).rstrip("/").rpartition("/")[2] for path in found]

    def remove(self, name: str) -> None:
        """Remove an object, or all below a folder; nothing happens where there is none."""
        try:
            self._fs.rm(self._path(name), recursive=True)
        except FileNotFoundError:
            return

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @cached_property
    def _root(self) -> str:
        return str(self._opened[1]).rstrip("/")

    @cached_property
    def _fs(self) -> Any:
        return self._opened[0]

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        import fsspec

        try:
            fs, path = fsspec.core.url_to_fs(self.url)
        except (ValueError, ImportError) as error:
            raise UserError(f"storage must be a folder or a URL that fsspec can open, got {self.url} ({error})") from error
        return fs, path
