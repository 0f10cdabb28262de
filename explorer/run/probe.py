"""Whether Ray works: a task on every node of the cluster, which says what is installed there. For ``explorer doctor``."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Self

from explorer.run.cluster import cluster

PROGRAM = "adaptive-video-explorer"
ANSWER_S = 120.0  # a node that has not answered by then is not usable


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A node's answer. ``program``: version of this program there, or why it does not import."""

    node: str
    python: str
    program: str
    cpus: float = 0.0
    gpus: float = 0.0

    @classmethod
    def here(cls) -> Self:
        """This process's."""
        try:
            import explorer.execute  # noqa: F401  # what a worker imports first

            program = metadata.version(PROGRAM)
        except Exception as error:
            program = f"does not import ({error})"
        return cls(node=platform.node(), python=platform.python_version(), program=program)

    def fits(self, other: Answer) -> bool:
        """Whether both have the same Python (to the minor version) and the same program."""
        minor = [answer.python.split(".")[:2] for answer in (self, other)]
        return minor[0] == minor[1] and self.program == other.program


def _answer() -> Answer:
    return Answer.here()


def probe_cluster(address: str | None) -> list[Answer]:
    """Join the cluster at ``address``, or start one here, and ask every node. Raises what Ray raises."""
    with cluster(address):
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        nodes: list[dict[str, Any]] = [node for node in ray.nodes() if node["Alive"]]
        ask = ray.remote(num_cpus=0)(_answer)
        asked = [
            ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote()
            for node in nodes
        ]
        answers: list[Answer] = ray.get(asked, timeout=ANSWER_S)
    return [
        Answer(
            node=node["NodeManagerHostname"],
            python=answer.python,
            program=answer.program,
            cpus=node["Resources"].get("CPU", 0.0),
            gpus=node["Resources"].get("GPU", 0.0),
        )
        for node, answer in zip(nodes, answers, strict=True)
    ]
