"""What runs below a process, from ``/proc``: for those who kill on purpose, and look afterwards whether all are gone."""

from __future__ import annotations

from pathlib import Path


def descendants(root: int) -> dict[int, str]:
    """Process id -> command line of all living processes below ``root``."""
    parents: dict[int, int] = {}
    commands: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        if fields[0] != "Z":
            parents[int(folder.name)] = int(fields[1])
            commands[int(folder.name)] = command
    found: dict[int, str] = {}
    below = {root}
    while below:
        below = {pid for pid, parent in parents.items() if parent in below}
        found |= {pid: commands[pid] for pid in below}
    return found
