"""Going on where a killed run stopped: with the next epoch, and with the bits of a run that was not killed.

Stored after each epoch: weights, buffers, optimisers, number of steps (learning rates are a function of it) and metrics.
Nothing else is needed: data order, augmentation, noise, temperature and torch's generator are functions of (seed, epoch,
pass, step).

The file begins with a line of JSON: key, rounds done, and the checksum of what follows. Where that does not fit, what follows is
not read: the stage is trained again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import torch

from trainables.kit.engine.prepare import Run

RESUME_FILE = "resume.pt"


def save_resume(run: Run, work: Path, done: int) -> None:
    """Write atomically what a run that starts with round ``done`` needs."""
    work.mkdir(parents=True, exist_ok=True)
    aside = work / f".{RESUME_FILE}.{os.getpid()}"
    state: dict[str, Any] = {
        "key": run.job.key,
        "done": done,
        "model": run.model.state_dict(),
        "optimisers": [o.state_dict() for o in run.optimisers],
        "history": run.history,
    }
    content = io.BytesIO()
    torch.save(state, content)
    body = content.getbuffer()
    head = {"key": run.job.key, "done": done, "sha256": hashlib.sha256(body).hexdigest()}
    with aside.open("wb") as file:
        file.write(json.dumps(head).encode() + b"\n")
        file.write(body)
    os.replace(aside, work / RESUME_FILE)


def epochs_saved(work: Path) -> int:
    """How many epochs the unfinished run in ``work`` has done; 0 = none that can be gone on with. Reads one line."""
    try:
        with (work / RESUME_FILE).open("rb") as file:
            return int(json.loads(file.readline())["done"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def restore(run: Run, work: Path) -> int:
    """Restore an unfinished run of the same key on all ranks; the number of rounds that it had finished."""
    state = _read(run, work)
    done = 0 if state is None else int(state["done"])
    if len(set(run.ranks.gather({run.ranks.rank: done}).values())) > 1:  # a rank could not read it
        return 0
    if state is None:
        return 0
    run.model.load_state_dict(state["model"])
    for optimiser, saved in zip(run.optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    run.history.extend(state["history"])
    return done


def remove_leftovers(folder: Path) -> None:
    """Delete the files that a killed process was still writing: they must not be published with the others."""
    for file in folder.rglob(".*"):
        file.unlink()


def _read(run: Run, work: Path) -> dict[str, Any] | None:
    try:
        head, _, body = (work / RESUME_FILE).read_bytes().partition(b"\n")
        if json.loads(head)["sha256"] != hashlib.sha256(body).hexdigest():
            return None
        state = torch.load(io.BytesIO(body), map_location=run.device, weights_only=True)
    except Exception:  # not there; or cut short by a full disk, say: the epochs are lost, the stage is not
        return None
    return state if state["key"] == run.job.key else None
