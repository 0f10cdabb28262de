"""What is wrong with an installation or a cluster: ``explorer doctor``. Each check is a function; here they are by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from explorer.doctor.finding import Finding, Settings, State
from explorer.doctor.machine import disk, limits, memory, shared_memory
from explorer.doctor.packages import python, required, torch_trio
from explorer.doctor.parts import flow, gpu, mlflow, ray, video

__all__ = ["CHECKS", "Finding", "Settings", "State", "examine"]

CHECKS: Mapping[str, Callable[[Settings], Finding]] = {
    "python": python,
    "packages": required,
    "torch": torch_trio,
    "gpu": gpu,
    "video": video,
    "flow": flow,
    "disk": disk,
    "memory": memory,
    "shared memory": shared_memory,
    "limits": limits,
    "MLflow": mlflow,
    "Ray": ray,
}


def examine(settings: Settings) -> Iterator[tuple[str, Finding]]:
    """Every check in turn, as soon as it is done. One that raises is a problem, not the end."""
    for name, check in CHECKS.items():
        try:
            yield name, check(settings)
        except Exception as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            yield (
                name,
                Finding.problem(said[0], "see the message; `explorer doctor --json` has all of it", "\n".join(said)),
            )
