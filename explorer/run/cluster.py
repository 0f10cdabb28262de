"""The Ray cluster of a sweep: join it or start one on this machine, and how many worker groups fit into it."""

from __future__ import annotations

import logging
import math
import os
import socket
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explorer.errors import SweepFailed, UserError
from explorer.run.stopping import hangup_ignored

# What a group of one worker takes beside its tensors (measured 0.85): worker, controller, synchronisation actor.
GROUP_GIB = 0.9
# Driver, Ray's own processes, the queue and the trials (measured 1.7).
BASE_GIB = 2.0
_START_ATTEMPTS = 3
_ANSWER_S = 10.0
_OBJECT_STORE_BYTES = 100 * 2**20  # nothing but small messages travels through it

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process a group, for clouds that announce a reclaim
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # how soon a dead worker is seen; 2 s by default
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths in a search space mean what they mean in the driver
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard files: the study and MLflow have it all
    "TUNE_DISABLE_AUTO_CALLBACK_SYNCER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What one worker group needs. ``threads``: of torch, a worker; together the groups use no more than the cores."""

    workers: int
    cpus_per_worker: float
    gpus_per_worker: float

    @property
    def threads(self) -> int:
        return max(1, math.floor(self.cpus_per_worker))

    def __str__(self) -> str:
        gpus = f" and {self.gpus_per_worker:g} GPU" if self.gpus_per_worker else ""
        each = f"{self.cpus_per_worker:g} CPU{gpus}"
        return each if self.workers == 1 else f"{self.workers} workers of {each}"


@dataclass(frozen=True, kw_only=True)
class Node:
    """Resources of one machine of the cluster."""

    cpus: float
    gpus: float
    memory_gib: float


def slots(shape: Shape, nodes: Sequence[Node], *, groups: int | None, useful: int) -> int:
    """How many groups to start: ``groups`` if given, else as many as fit, but no more than are ``useful``.

    Raises:
        UserError: a group does not fit at all, or ``groups`` do not.
    """
    fit = sum(_workers_on(node, shape) for node in nodes) // shape.workers
    have = f"{_sum(nodes, 'cpus'):g} CPU and {_sum(nodes, 'gpus'):g} GPU on {len(nodes)} node{'s' * (len(nodes) != 1)}"
    if fit == 0:
        raise UserError(
            f"resources: a worker group needs {shape}, the cluster has {have}; "
            "lower cpus_per_worker, gpus_per_worker or workers, or add nodes"
        )
    if groups is None:
        roomy = sum(max(0, int((node.memory_gib - BASE_GIB) / (GROUP_GIB * shape.workers))) for node in nodes)
        return max(1, min(fit, roomy, useful))
    if groups > fit:
        raise UserError(
            f"resources.groups must be at most {fit}, got {groups}: each needs {shape}, the cluster has {have}; "
            "lower groups or cpus_per_worker (0.5 shares a core), or add nodes"
        )
    return groups


def _workers_on(node: Node, shape: Shape) -> int:
    # Ray counts in ten-thousandths; without the small summand three workers of 0.1 do not fit into 0.3.
    by_cpu = node.cpus / shape.cpus_per_worker if shape.cpus_per_worker else math.inf
    by_gpu = node.gpus / shape.gpus_per_worker if shape.gpus_per_worker else math.inf
    return int(min(by_cpu, by_gpu, 10_000) + 1e-6)


def _sum(nodes: Sequence[Node], field: str) -> float:
    return sum(getattr(node, field) for node in nodes)


def set_environment() -> None:
    """Before Ray is imported: what it reads then."""
    os.environ.update({name: value for name, value in _ENVIRONMENT.items() if name not in os.environ})


@contextmanager
def cluster(address: str | None = None, *, dashboard: bool = False) -> Iterator[Sequence[Node]]:
    """A running Ray. One that this process is in, or at ``address`` or ``RAY_ADDRESS``, is joined and left running.

    ``address`` "auto": the one that this machine belongs to. Without any address (or with "local") one is started on this
    machine, without the dashboard (1 GB), and ended with all its processes.

    Raises:
        UserError: no cluster answers there.
    """
    set_environment()
    import ray

    ours = not ray.is_initialized()
    if ours:
        _start(address or os.environ.get("RAY_ADDRESS") or "local", dashboard)
    try:
        yield nodes_now()
    finally:
        if ours:
            ray.shutdown()


def _start(address: str, dashboard: bool) -> None:
    """Join the cluster at ``address``, or start one here.

    Ray gives its own processes a fixed 30 s to come up, which a machine busy with other work may not meet: try again.
    """
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if address != "local":
        require_answer(address)
        try:
            _authenticate(address)
            ray.init(address, **quiet)
        except (ConnectionError, ValueError) as error:
            raise UserError(f"--address must be that of a running Ray cluster, got {address} ({error})") from error
        return
    local = {"address": "local", "include_dashboard": dashboard, "object_store_memory": _OBJECT_STORE_BYTES}
    for attempts_left in reversed(range(_START_ATTEMPTS)):
        try:
            with _same_imports(), hangup_ignored():
                ray.init(**local, **quiet)
            close_token(Path.home() / ".ray" / "auth_token")
            return
        except Exception as error:
            ray.shutdown()
            if "timed out during startup" not in str(error):
                raise
            if not attempts_left:
                raise SweepFailed(f"Ray did not start within {_START_ATTEMPTS} x 30 s; is the machine busy?") from error


def send_token() -> None:
    """Have Ray send the token of this user, if there is one. Clients do not do so by default."""
    if "RAY_AUTH_MODE" in os.environ:
        return
    from ray._raylet import Config  # type: ignore[attr-defined]

    if _token():
        os.environ["RAY_AUTH_MODE"] = "token"
        Config.initialize("")  # Ray has read the variable when it was imported


def close_token(file: Path) -> None:
    """Make a token readable for its owner alone. Ray 2.60 leaves it readable for all, and who has it runs code as its owner."""
    with suppress(OSError):
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)


def token_refused(address: str) -> UserError:
    """What to say where the cluster at ``address`` refuses this user: which token it got from where, never the token."""
    mode = os.environ.get("RAY_AUTH_MODE", "token")
    source = "RAY_AUTH_TOKEN" if "RAY_AUTH_TOKEN" in os.environ else os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")
    remedy = "copy the head's ~/.ray/auth_token to this user's (chmod 600), or set RAY_AUTH_TOKEN_PATH to a file that holds it"
    if mode != "token":
        got, remedy = f"none, as RAY_AUTH_MODE is {mode}", "unset RAY_AUTH_MODE"
    else:
        got = f"a wrong one from {source}" if _token() else "none"
    return UserError(f"the cluster at {address} asks for its token, got {got}; {remedy}")


def _token() -> str:
    """The token of this user; empty if there is none."""
    from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]
    from ray.exceptions import AuthenticationError

    try:
        return str(AuthenticationTokenLoader.instance().get_raw_token(ignore_auth_mode=True) or "")
    except AuthenticationError:
        return ""


def _authenticate(address: str) -> None:
    """Send a token to the cluster at ``address`` if it refuses who sends none, and only then: a driver that asks for tokens
    itself, in a cluster that has none, is not answered by it; its actors are taken for abandoned and end.

    Raises:
        UserError: it refuses this user's token too. Ray would try for half a minute, and say that nothing answers.
    """
    from ray._private.services import canonicalize_bootstrap_address

    found = canonicalize_bootstrap_address(address)
    if found is None or not _refuses(found, None):
        return
    send_token()
    if os.environ.get("RAY_AUTH_MODE") != "token" or not _token() or _refuses(found, _token()):
        raise token_refused(address)


def _refuses(address: str, token: str | None) -> bool:
    import grpc

    metadata = None if token is None else (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary("/ray.rpc.NodeInfoGcsService/CheckAlive")(b"", timeout=_ANSWER_S, metadata=metadata)
        except grpc.RpcError as error:
            return bool(error.code() is grpc.StatusCode.UNAUTHENTICATED)
    return False


def require_answer(address: str) -> None:
    """Ray itself tries for six minutes to reach a host and port at which nothing answers, and talks about it.

    Raises:
        UserError: nothing answers there.
    """
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        return  # a word (auto, local), or a client's URL
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except OSError as error:
        raise UserError(f"--address must be that of a running Ray cluster, got {address} ({error})") from error


def nodes_now() -> tuple[Node, ...]:
    """The machines of the cluster that this process is in."""
    import ray

    return _nodes(ray.nodes())


def _nodes(described: Sequence[Mapping[str, Any]]) -> tuple[Node, ...]:
    return tuple(
        Node(
            cpus=node["Resources"].get("CPU", 0.0),
            gpus=node["Resources"].get("GPU", 0.0),
            memory_gib=node["Resources"].get("memory", 0.0) / 2**30,
        )
        for node in described
        if node["Alive"]
    )


@contextmanager
def _same_imports() -> Iterator[None]:
    """Ray's processes inherit ``PYTHONPATH``: they find the modules that this one finds outside its installation."""
    installed = {Path(path).resolve() for path in sysconfig.get_paths().values()}
    paths = [Path(entry or ".").resolve() for entry in (*sys.path, "")]
    outside = [p for p in paths if p.is_dir() and not any(p.is_relative_to(place) for place in installed)]
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(map(str, outside)))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
