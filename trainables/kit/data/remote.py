"""A second home of the cache: the same files in a folder or an object store, by fsspec. Imports no torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from trainables.errors import UserError


class Remote:
    """Entries at a URL: ``URL/TRACK-SETTINGS/NAME``, of which ``NAME.json`` is written last."""

    def __init__(self, url: str) -> None:
        """Raises UserError: fsspec does not know such URLs here."""
        import fsspec

        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError, OSError) as error:
            raise UserError(
                f"data.cache_url must be a folder or a URL that fsspec can open here, got {url!r} ({error}); "
                "for s3:// and gs:// install s3fs or gcsfs"
            ) from error
        self.url = url

    def names(self, folder: str) -> frozenset[str]:
        """The files of a folder; none where it does not exist.

        Raises:
            UserError: the place does not answer, or does not let us in.
        """
        try:
            found: list[Any] = self._files.ls(f"{self._root}/{folder}", detail=False, refresh=True)
        except FileNotFoundError:
            return frozenset()
        except Exception as error:  # each file system has errors of its own
            raise UserError(
                f"data.cache_url must be readable, got {self.url} ({type(error).__name__}: {error}); "
                "check the address and the credentials"
            ) from error
        return frozenset(str(name).rstrip("/").rpartition("/")[2] for name in found)

    def fetch(self, name: str, path: Path) -> None:
        """Copy a file of the remote (``FOLDER/NAME``) to ``path``, in one step."""
        aside = path.with_name(f"{path.name}.tmp")
        self._files.get_file(f"{self._root}/{name}", str(aside))
        os.replace(aside, path)

    def put(self, path: Path, name: str) -> None:
        """Copy a file there. Object stores show whole files only; elsewhere a half one has no ``.json`` beside it."""
        self._files.makedirs(f"{self._root}/{name}".rpartition("/")[0], exist_ok=True)
        self._files.put_file(str(path), f"{self._root}/{name}")
