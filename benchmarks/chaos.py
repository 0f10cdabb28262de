"""Kills at random what a sweep consists of, and asks afterwards whether anything was lost.

``python -m benchmarks.chaos --kills 100 --seed 0 --json``

A cluster of three nodes on this machine, a tracking server, and toy sweeps in ``order: strict``, each disturbed by several
SIGKILLs: to a worker, a trial, a worker group's controller, the queue, a node, the driver, the tracking server; and by damage
to a checkpoint. A driver that was killed is followed by ``explorer resume``. Afterwards every sweep must be complete and its
front that of an undisturbed run.

``kills``: by kind. ``fronts_identical``: whether all fronts equal the undisturbed one. ``lost``: trials without a result.
``duplicated``: trials, runs or metric values that are there twice. ``left_behind``: processes, actors, placement groups,
temporary files and RUNNING tracking runs after a sweep.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.processes import descendants
from explorer.tracking.server import NO_JOBS

ROOT = Path(__file__).parents[1]
TRIALS, EPOCH_S = 10, 0.25
KILLS_A_SWEEP = 10
# Kind -> what the names of its processes contain.
PROCESSES = {
    "worker": "ray::RayTrainWorker",
    "trial": "ray::ImplicitFunc",
    "controller": "ray::TrainController",
    "queue": "ray::QueueActor",
}
KINDS = (*PROCESSES, "node", "driver", "tracking", "checkpoint")
_PAUSE_S = (0.2, 3.0)  # between two kills, drawn
_NODE_STARTS = 3
_RESUMES = 5  # to deliver what a slow tracking server had no time to take
_PATIENCE_S = 600.0  # for anything to happen at all


@dataclass(kw_only=True)
class Result:
    """What is printed."""

    kills: dict[str, int] = field(default_factory=dict)
    sweeps: int = 0
    fronts_identical: bool = True
    lost: int = 0
    duplicated: int = 0
    twice: list[str] = field(default_factory=list)  # names of what was counted as duplicated in tracking
    left_behind: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Nodes:
    """Head and two nodes; one of the two may be killed and is replaced."""

    def __init__(self) -> None:
        import ray
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
        self._node = node
        self._cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
        self._others = [self._cluster.add_node(**node) for _ in range(2)]
        self.address: str = self._cluster.address
        ray.init(self.address, log_to_driver=False)

    def kill_one(self, rng: random.Random) -> None:
        gone = self._others.pop(rng.randrange(len(self._others)))
        self._cluster.remove_node(gone, allow_graceful=False)
        self._others.append(self._another())

    def _another(self) -> Any:
        for _ in range(_NODE_STARTS - 1):
            with contextlib.suppress(Exception):  # Ray raises nothing more special where a node takes longer than its 30 s
                return self._cluster.add_node(**self._node)
        return self._cluster.add_node(**self._node)

    def close(self) -> None:
        import ray

        ray.shutdown()
        self._cluster.shutdown()


class TrackingServer:
    """A real MLflow server on loopback."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self._port = found.getsockname()[1]
        self._folder = folder
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self._folder}/mlflow.db"]
        command += ["--artifacts-destination", str(self._folder / "artifacts")]
        quiet = subprocess.DEVNULL
        environment = {**os.environ, **NO_JOBS}
        self._process = subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)

    def kill(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self) -> None:
        def answers() -> bool:
            with contextlib.suppress(OSError):
                return bool(urllib.request.urlopen(f"{self.uri}/health", timeout=5).status == 200)
            return False

        wait_for(answers, "the tracking server answers")


@dataclass(kw_only=True)
class Place:
    """Where the sweeps run. ``server`` None: they are tracked in a file."""

    folder: Path
    nodes: Nodes
    server: TrackingServer | None

    def explorer(self, *words: str, log: Path) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "RAY_ADDRESS": self.nodes.address, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "explorer.cli.app", *words, "--json"]
        with log.open("ab") as file:
            return subprocess.Popen(command, stdout=file, stderr=file, env=environment, start_new_session=True)

    def space(self, name: str, *, seed: int) -> Path:
        """The YAML file of a sweep of its own storage, so that it shares nothing with the others."""
        storage = self.folder / name
        storage.mkdir()
        tracking = self.server.uri if self.server else f"sqlite:///{storage}/mlflow.db"
        space = {
            "name": f"chaos-{name}",
            "system": "toy",
            "epoch_s": EPOCH_S,
            "search": {
                "lambda.rgb": {"log": [0.05, 4]},
                "lambda.audio": {"log": [0.005, 1]},
                "gamma": {"choice": [0, 2, 5]},
            },
            "baselines": ["unimodal"],
            "order": "strict",
            "budget": {"trials": TRIALS},
            "resources": {"groups": 2, "cpus_per_worker": 0.5},
            "storage": str(storage),
            "tracking": tracking,
            "seed": seed,
        }
        file = storage / "space.yaml"
        file.write_text(yaml.safe_dump(space))
        return file


class Disturbed:
    """One sweep and what is done to it."""

    def __init__(self, place: Place, name: str, *, seed: int, rng: random.Random) -> None:
        self._place = place
        self._rng = rng
        self.yaml = place.space(name, seed=seed)
        self.folder = self.yaml.parent / f"chaos-{name}"
        self._log = self.yaml.parent / "driver.log"
        self._driver = place.explorer("sweep", str(self.yaml), log=self._log)

    def disturb(self, kinds: Sequence[str], result: Result) -> None:
        """One kill of each of ``kinds``, in this order, until the sweep has ended."""
        for kind in kinds:
            self._wait(lambda: self._begun() or self._ended)
            time.sleep(self._rng.uniform(*_PAUSE_S))
            if self._ended and kind != "checkpoint":
                return
            if self._kill(kind):
                result.kills[kind] = result.kills.get(kind, 0) + 1

    def finish(self) -> None:
        """Let it end; go on with it where it was killed, where a checkpoint was damaged after its end, or where it says that
        tracking records are left.
        """
        for _ in range(_RESUMES):
            self._wait(lambda: self._ended)
            if self._driver.returncode not in (0, -signal.SIGKILL):
                raise SystemExit(f"a driver ended with {self._driver.returncode}:\n{self._log.read_text()[-4000:]}")
            if self._place.server is not None:
                self._place.server.wait()  # what it missed is delivered when the sweep goes on
            again = self._place.explorer("resume", str(self.folder), log=self._log)
            self._driver, code = again, self._driver.returncode
            self._wait(lambda: self._ended)
            if code == 0 == self._driver.returncode and not any(self.folder.glob("tracking.spool*")):
                return

    @property
    def _ended(self) -> bool:
        return self._driver.poll() is not None

    def _begun(self) -> bool:
        """Whether an epoch was trained by the driver that runs now."""
        with contextlib.suppress(OSError, ValueError):
            progress = json.loads((self.folder / "progress.json").read_text())
            return bool(progress["pid"] == self._driver.pid and progress["stages"].get("running"))
        return False

    def _kill(self, kind: str) -> bool:
        if kind == "driver":
            self._driver.kill()
            self._driver.wait()
            self._driver = self._place.explorer("resume", str(self.folder), log=self._log)
        elif kind == "node":
            self._place.nodes.kill_one(self._rng)
        elif kind == "tracking":
            assert self._place.server is not None
            self._place.server.kill()
            self._place.server.start()
        elif kind == "checkpoint":
            return self._damage()
        else:
            found = [pid for pid, name in descendants(os.getpid()).items() if PROCESSES[kind] in name]
            if not found:
                return False
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._rng.choice(sorted(found)), signal.SIGKILL)
        return True

    def _damage(self) -> bool:
        """Cut short, or alter a byte of, a file of a checkpoint that is published."""
        files = sorted(f for f in (self.folder.parent / "store").glob("[!.]*/**/*") if f.is_file())
        if not files:
            return False
        file = self._rng.choice(files)
        with contextlib.suppress(FileNotFoundError), file.open("rb+") as stream:
            content = stream.read()
            if not content:
                return False
            if self._rng.random() < 0.5:
                stream.truncate(len(content) // 2)
            else:
                at = self._rng.randrange(len(content))
                stream.seek(at)
                stream.write(bytes([content[at] ^ 0x40]))
        return True

    def _wait(self, condition: Callable[[], bool]) -> None:
        try:
            wait_for(condition, "the sweep goes on")
        except TimeoutError:
            raise SystemExit(f"nothing happens any more:\n{self._log.read_text()[-4000:]}") from None


def front_of(folder: Path) -> str:
    """A sweep's front and all of its candidates, without the places where they lie."""
    from explorer.browse import Front

    front = Front.load(folder)
    points = [(p.trial, dict(p.parameters), p.point.to_dict()) for p in (*front.points, *front.candidates)]
    return json.dumps([points, front.hypervolume], sort_keys=True, default=str)


def check(sweep: Disturbed, place: Place, expected: str, result: Result) -> None:
    """Add to ``result`` what is wrong with a sweep that has ended."""
    from explorer.search.reader import read_study

    trials = read_study(sweep.folder / "study.journal")
    complete = [json.dumps(dict(t.params), sort_keys=True) for t in trials if t.state == "COMPLETE"]
    result.sweeps += 1
    result.lost += TRIALS - len(set(complete))
    result.duplicated += len(complete) - len(set(complete))
    result.fronts_identical &= front_of(sweep.folder) == expected
    result.left_behind += [f"{sweep.folder.name}: {thing}" for thing in left_behind(sweep.folder)]
    doubled, running = tracked(sweep, place)
    result.duplicated += len(doubled)
    result.twice += doubled
    result.left_behind += [f"{sweep.folder.name}: run {name} is RUNNING" for name in running]


def left_behind(folder: Path) -> list[str]:
    """Processes, actors, placement groups and temporary files that the sweep in ``folder`` should have taken along."""
    import ray
    from ray._private.state import actors

    def processes() -> list[str]:
        return [name for name in descendants(os.getpid()).values() if any(part in name for part in PROCESSES.values())]

    with contextlib.suppress(TimeoutError):  # Ray ends them when it has seen that their driver is gone
        wait_for(lambda: not processes(), "processes end", patience_s=60)
    alive = [f"actor {a['ActorClassName']}" for a in actors().values() if a["State"] not in ("DEAD",)]
    groups = [
        f"placement group {g['name']}" for g in ray.util.placement_group_table().values() if g["state"] != "REMOVED"
    ]
    work = folder.parent / "store" / ".work"
    files = [*folder.glob(".*"), *folder.glob("tracking.spool*"), *work.glob("*/*")]
    return [*processes(), *alive, *groups, *(str(file.relative_to(folder.parent)) for file in files)]


def tracked(sweep: Disturbed, place: Place) -> tuple[list[str], list[str]]:
    """Which runs and metric values there are twice, and which runs say that they are RUNNING."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=place.server.uri if place.server else f"sqlite:///{sweep.yaml.parent}/mlflow.db")
    experiment = client.get_experiment_by_name(sweep.folder.name)
    assert experiment is not None, "nothing was tracked"
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    names = Counter(
        (r.data.tags.get("explorer.role"), r.data.tags.get("trial_id"), r.data.tags.get("stage_key")) for r in runs
    )
    doubled = [f"run {name}" for name, count in names.items() for _ in range(count - 1)]
    for run in runs:
        for metric in run.data.metrics:
            if metric.startswith("front."):  # of each model of the run, and front.points at each end
                continue
            steps = [entry.step for entry in client.get_metric_history(run.info.run_id, metric)]
            twice = [step for step, count in Counter(steps).items() if count > 1]
            doubled += [f"{run.info.run_name}: {metric} at step {step}" for step in twice]
    return doubled, [str(run.info.run_name) for run in runs if run.info.status == "RUNNING"]


def wait_for(condition: Callable[[], bool], what: str, *, patience_s: float = _PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.1)


def kinds_in_turn(kinds: Sequence[str], rng: random.Random) -> Iterator[str]:
    """Every kind as often as the others, in a random order."""
    while True:
        yield from rng.sample(kinds, len(kinds))


def run(
    kills: int, *, seed: int, kinds: Sequence[str] = KINDS, tell: Callable[[str], None] = lambda line: None
) -> Result:
    """Run sweeps until ``kills`` kills are done."""
    began, result, rng = time.monotonic(), Result(), random.Random(seed)
    turns = kinds_in_turn(kinds, rng)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True)))
        nodes = Nodes()
        stack.callback(nodes.close)
        server = TrackingServer(folder) if "tracking" in kinds else None
        if server is not None:
            stack.callback(server.kill)
            server.wait()
        place = Place(folder=folder, nodes=nodes, server=server)
        calm = Disturbed(place, "calm", seed=seed, rng=rng)
        calm.finish()
        expected = front_of(calm.folder)
        check(calm, place, expected, result)
        while sum(result.kills.values()) < kills:
            sweep = Disturbed(place, f"{result.sweeps}", seed=seed, rng=rng)
            left = kills - sum(result.kills.values())
            sweep.disturb([next(turns) for _ in range(min(left, KILLS_A_SWEEP))], result)
            sweep.finish()
            if server is not None:
                server.wait()
            check(sweep, place, expected, result)
            tell(f"{time.monotonic() - began:.0f} s: {json.dumps(asdict(result))}")
    result.seconds = round(time.monotonic() - began, 1)
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos", description="Kills at random what a sweep consists of."
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(arguments)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with contextlib.redirect_stdout(sys.stderr):  # Ray tells of every node that dies
        result = run(options.kills, seed=options.seed, kinds=options.kinds, tell=lambda line: print(line, flush=True))
    found = asdict(result)
    print(json.dumps(found) if options.json else "\n".join(f"{name:<18}{value}" for name, value in found.items()))
    whole = result.fronts_identical and not (result.lost or result.duplicated or result.left_behind)
    sys.exit(0 if whole else 1)


if __name__ == "__main__":
    main()
