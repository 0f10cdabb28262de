"""Disk, memory and limits of this machine."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

from explorer.doctor.finding import Finding, Settings
from explorer.run.cluster import BASE_GIB, GROUP_GIB

GIB = 2**30
DISK_GIB, DISK_PLENTY_GIB = 1.0, 10.0
SHM_GIB = 0.2  # Ray's object store takes 0.1 here
FILES, FILES_PLENTY = 1024, 4096  # Ray's own processes open some hundred each on a machine with many cores


def disk(settings: Settings) -> Finding:
    """Free space where the sweeps go, and whether anything can be written there."""
    place = next(path for path in (settings.storage, *settings.storage.absolute().parents) if path.exists())
    if not os.access(place, os.W_OK):
        return Finding.problem(f"{place} cannot be written to", "choose another `storage`, or ask for the permission")
    free = shutil.disk_usage(place).free / GIB
    said = f"{free:.1f} GiB free for {settings.storage}"
    remedy = "free some, or set `storage` to a larger disk; `explorer plan` says what a sweep needs"
    if free < DISK_GIB:
        return Finding.problem(said, remedy)
    return Finding.warning(said, remedy) if free < DISK_PLENTY_GIB else Finding.ok(said)


def memory(settings: Settings) -> Finding:
    """Whether at least one worker group fits beside Ray."""
    need = BASE_GIB + GROUP_GIB
    free = _available_gib()
    if free is None:
        return Finding.ok("unknown on this system")
    said = f"{free:.1f} GiB available; Ray and one worker group take {need:.1f} before any tensor"
    return Finding.ok(said) if free >= need else Finding.problem(said, "close other programs, or use a larger machine")


def shared_memory(settings: Settings) -> Finding:
    """``/dev/shm``, which containers often make too small for Ray."""
    place = Path("/dev/shm")
    if not place.is_dir():
        return Finding.ok("no /dev/shm on this system; Ray uses files")
    free = shutil.disk_usage(place).free / GIB
    said = f"{free:.2f} GiB free in {place}"
    remedy = "start the container with --shm-size=1g, or free what lies there; until then Ray uses slow files"
    return Finding.ok(said) if free >= SHM_GIB else Finding.warning(said, remedy)


def limits(settings: Settings) -> Finding:
    """Open files a process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    said = f"{'no limit of' if soft == resource.RLIM_INFINITY else soft} open files"
    remedy = f"ulimit -n {16 * FILES_PLENTY} in the shell that starts the sweep"
    if soft == resource.RLIM_INFINITY or soft >= FILES_PLENTY:
        return Finding.ok(said)
    return Finding.problem(said, remedy) if soft < FILES else Finding.warning(said, remedy)


def _available_gib() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kib = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
    return None if kib is None else kib * 1024 / GIB
