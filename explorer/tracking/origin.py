"""Where a sweep comes from, as MLflow shows it: code, person, machine, data set."""

from __future__ import annotations

import getpass
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.errors import UserError

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

    from explorer.spec import SearchSpace

_LONGEST_DIGEST = 36  # of MLflow's; longer ones are refused


def origin_tags(space: SearchSpace) -> dict[str, str]:
    """Tags in MLflow's own names, so that its columns are filled. The commit is that of the folder one works in, if it is a
    checkout, else of this program's; uncommitted changes are told."""
    tags = {
        "mlflow.source.name": f"explorer sweep {space.name}",
        "mlflow.source.type": "LOCAL",
        "explorer.version": _version(),
        "explorer.host": platform.node(),
        "explorer.folder": str(space.folder),
    }
    with suppress(OSError, KeyError):  # a container's user without a name
        tags["mlflow.user"] = getpass.getuser()
    for folder in (Path.cwd(), Path(__file__).parent):
        commit = _git(folder, "rev-parse", "HEAD")
        if commit:
            tags["mlflow.source.git.commit"] = commit
            tags["explorer.git.changed"] = "yes" if _git(folder, "status", "--porcelain", "-uno") else "no"
            break
    return tags


def dataset_inputs(space: SearchSpace, stage_info: Mapping[str, Any]) -> list[DatasetInput]:
    """The data set as an MLflow input: name and place of its manifest, digest of labels, splits and contents, sizes."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data = stage_info["config"].get("data", {})
    manifest = str(data.get("manifest", ""))
    digest = stage_info.get("provenance", {}).get("data_fingerprint")
    if digest is None:
        try:
            digest = space.load_system().data_fingerprint(space.base_config())
        except (UserError, OSError):  # it was moved away meanwhile
            return []
    dataset = Dataset(
        name=Path(manifest).parent.name or space.system.rpartition(":")[2] if manifest else f"{space.name} data",
        digest=str(digest)[:_LONGEST_DIGEST],
        source_type="local" if manifest else "generated",
        source=json.dumps({"uri": manifest} if manifest else data),
        profile=json.dumps({"videos": stage_info.get("videos", {}), "classes": len(stage_info["classes"])}),
    )
    return [DatasetInput(dataset, [InputTag("mlflow.data.context", "train, val, test")])]


def _version() -> str:
    try:
        return importlib.metadata.version("adaptive-video-explorer")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _git(folder: Path, *arguments: str) -> str:
    """What git says; empty where it says nothing, or is not there."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
