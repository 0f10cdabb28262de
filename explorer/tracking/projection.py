"""What each event of a sweep means in MLflow. Applying the same events twice leaves the same runs.

The sweep is the parent run. A stage that trials share (or a baseline's) is a child run; a stage that the searched
values reach belongs to its trial and shows in the trial's run, its metrics prefixed ``STAGE/``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from explorer.errors import CheckpointMissing
from explorer.fronts import Measured
from explorer.records import STUDY_FILE
from explorer.run.events import Event, Kind
from explorer.search.aim import AIM, Aim
from explorer.search.reader import TrialRecord, read_study
from explorer.spec.draws import default_point, random_point
from explorer.spec.fork import Fork
from explorer.spec.plan import chain
from explorer.store import Store
from explorer.tracking.columns import VIEW_TAG, first_columns
from explorer.tracking.front_view import FrontView, note
from explorer.tracking.origin import dataset_inputs, origin_tags
from explorer.tracking.runs import CHAIN, NOTE, TRIAL_STATE, Number, Runs, RunState, Status
from explorer.tracking.system_metrics import SystemMetrics
from trainables.contract import CostTable

if TYPE_CHECKING:
    from explorer.spec import SearchSpace

_STATUS: dict[str, Status] = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
AIM_TAG = "trial.aim"  # the gap of the front that a trial was aimed at
FORK_TAG = "trial.forked_from"  # number of the trial whose checkpoint it started from
RUNG_TAG = "trial.rung"  # the rung of early stopping that a trial reached last
_LAST = "seconds"  # the metric of an epoch that is written last: where it is, the others are
_SAMPLES = 3  # random points that tell which stages the searched values reach


class Projection:
    """Applies events to the runs of one sweep."""

    def __init__(self, space: SearchSpace, runs: Runs) -> None:
        self._space = space
        self._runs = runs
        self._store = Store(space.store_folder)
        self._of_trial = _reached_by_search(space)
        self._chains: dict[int, Mapping[str, str]] = {}  # of trials
        self._went_on = False
        self._open_trials: set[int] = set()
        self._jobs: dict[str, Mapping[str, Any]] = {}
        self._pending: dict[str, tuple[RunState, list[Number]]] = {}
        self._shown: dict[tuple[str, str], set[int]] = {}  # epochs that are written, by run and stage key
        self._front = FrontView(space, runs)
        self._load = SystemMetrics()
        self._load_step: int | None = None  # of the last sample; None: not asked of the server yet
        self._running = False
        self._dataset: list[Any] | None = None
        self._handlers: dict[Kind, Callable[[Event], None]] = {
            Kind.SWEEP_STARTED: self._sweep_started,
            Kind.SWEEP_ENDED: self._sweep_ended,
            Kind.STAGE_SUBMITTED: self._stage_submitted,
            Kind.STAGE_REUSED: self._stage_reused,
            Kind.STAGE_STARTED: self._stage_started,
            Kind.STAGE_EPOCH: self._stage_epoch,
            Kind.STAGE_FINISHED: self._stage_finished,
            Kind.STAGE_FAILED: self._stage_failed,
            Kind.STAGE_CANCELLED: self._stage_cancelled,
            Kind.TRIAL_STARTED: self._trial_started,
            Kind.TRIAL_PREVIEWED: self._trial_previewed,
            Kind.TRIAL_FINISHED: self._trial_finished,
            Kind.TRIAL_FAILED: self._trial_failed,
            Kind.TRIAL_PAUSED: self._trial_paused,
            Kind.TRIAL_PROMOTED: self._trial_promoted,
            Kind.TRIAL_PRUNED: self._trial_pruned,
            Kind.CHAIN_FINISHED: self._mark_stale,
            Kind.CHAIN_FAILED: self._chain_failed,
        }

    def apply(self, events: Sequence[Event]) -> None:
        """Write what ``events`` say. After an error, give the same events again."""
        self._pending.clear()
        try:
            if not self._went_on:
                self._go_on(events)
            for event in events:
                handler = self._handlers.get(event.kind)
                if handler is not None:
                    handler(event)
            self._flush()
            self._write_load()
        except Exception:
            self._runs.forget()
            self._shown.clear()
            raise

    def _go_on(self, events: Sequence[Event]) -> None:
        """Learn which stages belong to which trial from the runs that are there.

        An earlier process that was killed may have delivered the start of a trial and left its epochs in the spool: they
        belong to that trial's run, not to runs of their own.
        """
        self._runs.parent(time_ms=_ms(events[0]))
        for (role, identifier), state in self._runs.children().items():
            if role == "trial" and CHAIN in state.tags:
                self._chains[int(identifier)] = json.loads(state.tags[CHAIN])
                if state.status == "RUNNING":
                    self._open_trials.add(int(identifier))
        self._went_on = True

    # --- the sweep ----------------------------------------------------------------------------------------------------

    def _sweep_started(self, event: Event) -> None:
        parent = self._runs.parent(time_ms=_ms(event))
        if parent.status != "RUNNING":
            self._runs.reopen(parent)
        described = {} if NOTE in parent.tags else {NOTE: note(self._space)}
        self._runs.write(parent, params=_flat(self._space.dump()), tags={**origin_tags(self._space), **described})
        sites = self._space.load_system().sites(self._space.base_config())
        shares = [share for site in sites for share in site.shares]
        alone = not self._space.member_of  # else the experiment holds sweeps of other systems, too
        self._runs.set_experiment_tag(VIEW_TAG, first_columns(shares if alone else (), list(self._space.search) if alone else ()))
        self._running = True
        self._catch_up(event)

    def _catch_up(self, event: Event) -> None:
        """Write what happened while nobody listened: before a kill, or in an outage that outlived the sweep."""
        study = self._space.folder / STUDY_FILE
        records = read_study(study) if study.is_file() else []
        children = self._runs.children()
        for record in records:
            # Creating a database takes seconds, in which the sweep goes on: what came after has events of its own.
            if record.ended is None or record.ended >= event.time:
                continue
            known = children.get(("trial", str(record.number)))
            if known is None or known.status == "RUNNING":
                self._write_ended(record, event)
        for state in children.values():
            if state.status == "RUNNING":
                self._runs.end(state, "KILLED", time_ms=_ms(event))
        self._front.stale = bool(records)

    def _write_ended(self, record: TrialRecord, event: Event) -> None:
        time_ms = _ms(event) if record.ended is None else int(record.ended * 1000)
        state = self._open_trial(record.number, record.params, record.attrs.get("chain", {}), time_ms, record.attrs)
        if record.state == "COMPLETE":
            values = dict(zip(self._space.objectives, record.values or (), strict=True))
            self._complete(record.number, state, values, time_ms)
        elif record.state == "PRUNED":
            self._prune(state, str(record.attrs.get("reason", "")), next(reversed(record.attrs.get("rungs", {})), ""), time_ms)
        else:
            self._runs.write(state, tags={TRIAL_STATE: "failed", "error": str(record.attrs.get("reason", ""))})
            self._runs.end(state, "FAILED", time_ms=time_ms)
        self._open_trials.discard(record.number)

    def _sweep_ended(self, event: Event) -> None:
        self._flush()
        for (role, _), state in self._runs.children().items():
            if state.status == "RUNNING":
                waits = state.tags.get(TRIAL_STATE) == "paused"
                tags = {TRIAL_STATE: "interrupted"} if role == "trial" and not waits else {}
                self._runs.write(state, tags=tags)
                self._runs.end(state, "KILLED", time_ms=_ms(event))
        self._open_trials.clear()
        self._write_load()
        self._running = False
        self._front.refresh(final=not event.data.get("at_once"))  # uploading models takes a while
        status = _STATUS.get(str(event.data.get("state", "finished")), "FAILED")
        self._runs.end(self._runs.parent(), status, time_ms=_ms(event))

    # --- stages -------------------------------------------------------------------------------------------------------

    def _owners(self, key: str, stage: str) -> list[int]:
        """The trials in whose runs the stage shows; none where it has a run of its own."""
        if stage not in self._of_trial:
            return []
        return [number for number, keys in self._chains.items() if key in keys.values()]

    def _stage_submitted(self, event: Event) -> None:
        self._jobs[str(event.key)] = event.data["job"]

    def _stage_run(self, event: Event) -> RunState:
        key, stage = str(event.key), str(event.stage)
        state = self._runs.child("stage", key, name=stage, time_ms=_ms(event))
        job = self._jobs.get(key, {})
        known = {name: job[name] for name in ("epochs", "training_passes", "seed") if name in job}
        tags = {"stage": stage} | ({"baseline": str(job["baseline"])} if job.get("baseline") else {})
        self._runs.write(state, params={"stage": stage, "key": key, **known}, tags=tags)
        return state

    def _stage_reused(self, event: Event) -> None:
        self._stage_submitted(event)
        key, stage = str(event.key), str(event.stage)
        known = self._runs.children().get(("stage", key))
        if stage in self._of_trial or (known is not None and known.status == "FINISHED"):
            return
        state = self._stage_run(event)
        self._runs.write(state, tags={"stage.reused": "yes"})
        self._fill_stage(state, key, prefix="", time_ms=_ms(event))
        self._log_data(state, key)
        self._runs.end(state, "FINISHED", time_ms=_ms(event))

    def _stage_started(self, event: Event) -> None:
        self._stage_submitted(event)
        if not self._owners(str(event.key), str(event.stage)):
            self._stage_run(event)

    def _stage_epoch(self, event: Event) -> None:
        key, stage, epoch = str(event.key), str(event.stage), int(event.data["epoch"])
        owners = self._owners(key, stage)
        targets = {number: self._trial_run(number) for number in owners if number in self._open_trials}
        states = list(targets.values()) if owners else [self._stage_run(event)]
        prefix = f"{stage}/" if owners else ""
        values = {**event.data["metrics"], _LAST: event.data["seconds"]}
        for state in states:
            shown = self._shown_epochs(state, key, prefix)
            if epoch in shown:  # trained again, because its checkpoint was damaged or its worker killed: the first one stays
                continue
            _, numbers = self._pending.setdefault(state.run_id, (state, []))
            numbers += _numbers(values, step=epoch, time_ms=_ms(event), prefix=prefix)
            shown.add(epoch)

    def _shown_epochs(self, state: RunState, key: str, prefix: str) -> set[int]:
        """The epochs of a stage that the run shows, those that an earlier process wrote included."""
        known = self._shown.get((state.run_id, key))
        if known is None:
            last = f"{prefix}{_LAST}"
            known = self._shown[state.run_id, key] = self._runs.steps(state, last) if last in state.metrics else set()
        return known

    def _stage_finished(self, event: Event) -> None:
        self._front.stale = True
        if not self._owners(str(event.key), str(event.stage)):
            self._flush()
            state = self._stage_run(event)
            self._runs.write(state, numbers=self._final_numbers(state, str(event.key), _ms(event)))
            self._log_data(state, str(event.key))
            self._runs.end(state, "FINISHED", time_ms=_ms(event))

    def _stage_failed(self, event: Event) -> None:
        self._end_stage(event, "FAILED")

    def _stage_cancelled(self, event: Event) -> None:
        self._end_stage(event, "KILLED")

    def _end_stage(self, event: Event, status: Status) -> None:
        if self._owners(str(event.key), str(event.stage)) or ("stage", str(event.key)) not in self._runs.children():
            return
        self._flush()
        state = self._stage_run(event)
        self._runs.write(state, tags={"error": str(event.data.get("error") or "")})
        self._runs.end(state, status, time_ms=_ms(event))

    def _fill_stage(self, state: RunState, key: str, *, prefix: str, time_ms: int) -> None:
        """Write the epochs of a stored stage that the run does not show yet."""
        try:
            history = self._store.stage_info(key)["metrics"]
        except CheckpointMissing:
            return
        shown = self._shown.get((state.run_id, key), set())
        if len(shown) < len(history):  # asked of the server only where this process did not write them all
            shown = shown | {step for name in history[0] for step in self._runs.steps(state, prefix + name)}
        numbers = [
            number
            for epoch, metrics in enumerate(history)
            if epoch not in shown
            for number in _numbers(metrics, step=epoch, time_ms=time_ms, prefix=prefix)
        ]
        self._runs.write(state, numbers=[*numbers, *([] if prefix else self._final_numbers(state, key, time_ms))])

    def _final_numbers(self, state: RunState, key: str, time_ms: int) -> list[Number]:
        """Accuracy and cost of a stored stage's last measured epoch, at default knobs; none where the run has them."""
        if "accuracy" in state.metrics:  # an earlier process wrote them, and died before it could end the run
            return []
        defaults = [point for point in self._store.points(key) if point["selection"] == "default"]
        if not defaults:
            return []
        val = Measured.from_dict(defaults[-1]["val"])
        cost = CostTable(**self._store.stage_info(key)["cost"])
        values = {"accuracy": val.accuracy, "accuracy.standard_error": val.standard_error}
        values |= {"gflops": val.gflops["full"], "gflops.paper": val.gflops["paper"]}
        if (everything := cost.all_on_gmacs("full")) > 0:
            values["gflops.share_of_all_on"] = val.gflops["full"] / everything
        values |= {f"rate.{site}": rate for site, rate in val.rates.items()}
        return _numbers(values, step=int(defaults[-1]["epoch"]), time_ms=time_ms)

    def _log_data(self, state: RunState, key: str) -> None:
        """The data set as an input of the run, and of the sweep's."""
        if self._dataset is None:
            try:
                self._dataset = dataset_inputs(self._space, self._store.stage_info(key))
            except CheckpointMissing:
                return
            self._runs.log_inputs(self._runs.parent(), self._dataset)
        self._runs.log_inputs(state, self._dataset)

    # --- trials -------------------------------------------------------------------------------------------------------

    def _trial_run(self, number: int, time_ms: int | None = None) -> RunState:
        when = int(time.time() * 1000) if time_ms is None else time_ms
        return self._runs.child("trial", str(number), name=f"trial {number}", time_ms=when)

    def _open_trial(
        self, number: int, params: Mapping[str, Any], keys: Mapping[str, str], time_ms: int, why: Mapping[str, Any]
    ) -> RunState:
        """``why``: what is noted, or told, of the trial, its aim and its fork among it."""
        self._chains[number] = keys
        self._open_trials.add(number)
        state = self._trial_run(number, time_ms)
        told = {AIM_TAG: str(Aim.of(why[AIM]))} if AIM in why else {}
        if (fork := Fork.of(why)) is not None:
            told[FORK_TAG] = str(fork.trial)
        self._runs.write(state, params=params, tags={TRIAL_STATE: "running", CHAIN: json.dumps(keys), **told})
        return state

    def _trial_previewed(self, event: Event) -> None:
        """On the parent run, by the number of the trial: how far previews agree with finished trials, and whether they choose."""
        agreed, number = event.data["agreement"], _trial(event)
        values = {
            "preview.candidates": float(event.data["candidates"]),
            "preview.chooses": float(agreed["trusted"]),
            **{f"preview.tau.{metric}": value for metric, value in agreed["tau"].items()},
        }
        self._runs.write(self._runs.parent(), numbers=_numbers(values, step=number, time_ms=_ms(event)))

    def _trial_started(self, event: Event) -> None:
        self._opened(event)

    def _opened(self, event: Event) -> RunState:
        return self._open_trial(_trial(event), event.data["params"], event.data["chain"], _ms(event), event.data)

    def _trial_finished(self, event: Event) -> None:
        number = _trial(event)
        self._flush()
        state = self._opened(event)
        self._complete(number, state, event.data["values"], _ms(event))
        self._open_trials.discard(number)

    def _complete(self, number: int, state: RunState, values: Mapping[str, float], time_ms: int) -> None:
        for stage, key in self._chains[number].items():
            if stage in self._of_trial:
                self._fill_stage(state, key, prefix=f"{stage}/", time_ms=time_ms)
        last = list(self._chains[number].values())[-1:]
        columns = [n for key in last for n in self._final_numbers(state, key, time_ms) if n.name not in values]
        told = [] if "accuracy" in state.metrics else _numbers(values, step=0, time_ms=time_ms)
        numbers = [*told, *columns]
        self._runs.write(state, numbers=numbers, tags={TRIAL_STATE: "complete"})
        for key in last:
            self._log_data(state, key)
        self._runs.end(state, "FINISHED", time_ms=time_ms)
        self._front.stale = True

    def _trial_failed(self, event: Event) -> None:
        number = _trial(event)
        self._flush()
        state = self._opened(event)
        self._runs.write(state, tags={TRIAL_STATE: "failed", "error": str(event.data.get("error") or "")})
        self._runs.end(state, "FAILED", time_ms=_ms(event))
        self._open_trials.discard(number)

    def _trial_paused(self, event: Event) -> None:
        self._stand(event, "paused")

    def _trial_promoted(self, event: Event) -> None:
        self._stand(event, "running")

    def _stand(self, event: Event, standing: str) -> None:
        self._flush()
        state = self._opened(event)
        self._runs.write(state, tags={TRIAL_STATE: standing, RUNG_TAG: event.data["rung"]})

    def _trial_pruned(self, event: Event) -> None:
        number = _trial(event)
        self._flush()
        state = self._opened(event)
        self._prune(state, event.data["reason"], event.data["rung"], _ms(event))
        self._open_trials.discard(number)

    def _prune(self, state: RunState, reason: str, rung: str, time_ms: int) -> None:
        self._runs.write(state, tags={TRIAL_STATE: "pruned", RUNG_TAG: rung, "pruned": reason})
        self._runs.end(state, "KILLED", time_ms=time_ms)

    def _chain_failed(self, event: Event) -> None:
        name, error = event.data["name"], event.data.get("error")
        self._runs.write(self._runs.parent(), tags={f"chain.{name}": f"failed: {error}"})

    # --- the front ----------------------------------------------------------------------------------------------------

    def _mark_stale(self, event: Event) -> None:
        self._front.stale = True

    def refresh_front(self) -> None:
        """Bring the front and the machine's load up to date, unless that was done a moment ago."""
        self._write_load()
        self._front.refresh()

    def _write_load(self) -> None:
        values = self._load.sample() if self._running else {}
        if values:
            parent, now = self._runs.parent(), int(time.time() * 1000)
            if self._load_step is None:
                known = [name for name in values if name in parent.metrics]
                self._load_step = max((max(self._runs.steps(parent, name), default=-1) for name in known[:1]), default=-1)
            # Seconds since the run began: goes on rising when the sweep is resumed, whatever the clock says.
            self._load_step = max(self._load_step + 1, (now - (parent.start_ms or now)) // 1000)
            self._runs.write(parent, numbers=_numbers(values, step=self._load_step, time_ms=now))

    def _flush(self) -> None:
        """Write the metrics that were held back so that many go in one call."""
        while self._pending:
            _, (state, numbers) = self._pending.popitem()
            self._runs.write(state, numbers=numbers)


def _reached_by_search(space: SearchSpace) -> frozenset[str]:
    """Names of the stages whose key depends on what is searched: they belong to single trials."""
    if not space.search:
        return frozenset()
    points = [default_point(space), *(random_point(space.search, (space.seed, n)) for n in range(_SAMPLES))]
    keys: dict[str, set[str]] = {}
    for point in points:
        for job in chain(space, point):
            keys.setdefault(job.stage, set()).add(job.key)
    return frozenset(stage for stage, found in keys.items() if len(found) > 1)


def _numbers(values: Mapping[str, float], *, step: int, time_ms: int, prefix: str = "") -> list[Number]:
    return [Number(name=prefix + k, value=float(v), step=step, time_ms=time_ms) for k, v in values.items()]


def _flat(raw: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted names. What may change on resume (budget, resources, places) is left out."""
    found: dict[str, Any] = {}
    for name, value in raw.items():
        if not prefix and name in ("budget", "resources", "storage", "tracking"):
            continue
        dotted = f"{prefix}{name}"
        if isinstance(value, Mapping) and value and not prefix.startswith("search."):
            found |= _flat(value, f"{dotted}.")
        else:
            found[dotted] = json.dumps(value) if isinstance(value, Mapping | list | tuple) else value
    return found


def _trial(event: Event) -> int:
    assert event.trial is not None, f"{event.kind} without a trial"
    return event.trial


def _ms(event: Event) -> int:
    return int(event.time * 1000)
