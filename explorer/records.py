"""Reading a sweep's folder: the study's trials and the finished stages of the store, as plain values.

Nothing is written and nothing is locked, so a sweep that still runs can be read. Checkpoints are not verified here:
that takes as long as reading them; whoever uses one asks the store for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from explorer.errors import CheckpointMissing, NotFound
from explorer.fronts import OperatingPoint
from explorer.store import Store
from explorer.store.remote import Remote, local_root
from trainables.contract import CostTable, Json

SPACE_FILE = "space.yaml"
STUDY_FILE = "study.journal"
TABLE_FILES = ("table.json", "table.md")  # of a run that reproduces a table
RUNS = Path("runs")  # where sweeps lie if nothing else is said


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """A finished stage as the store holds it."""

    key: str
    stage: str
    baseline: str | None
    folder: Path
    cost: CostTable
    classes: tuple[str, ...]
    points: tuple[OperatingPoint, ...]
    mode: str = "policy"
    training_passes: int = 0
    data_fingerprint: str = ""  # of the data it was trained and measured on; "" = not noted
    config: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial of the study. ``chain``: stage name -> key; a key may not be in the store (yet).

    ``state``: as in the study, or PAUSED. ``values``: its objectives in the space's order, None unless complete. ``started``,
    ``ended``: seconds since the epoch. ``rungs``: name -> passes of its stage, of those of early stopping that it has reached.
    ``forked_from``: number of the trial that it was forked from, if it was.
    """

    number: int
    state: str
    parameters: Mapping[str, Json]
    chain: Mapping[str, str]
    values: tuple[float, ...] | None = None
    started: float | None = None
    ended: float | None = None
    rungs: Mapping[str, int] = field(default_factory=dict)
    forked_from: int | None = None


@dataclass(frozen=True, kw_only=True)
class SweepRecord:
    """Everything that a front is made of. ``stages``: the finished ones, by key. ``space``: ``space.yaml`` as it stands.

    ``baselines``: name of a chain -> stage -> key; ``repeats``: those among them that train a trial once more -> (trial, seed).
    """

    folder: Path
    name: str
    system: str
    trials: tuple[TrialRecord, ...]
    baselines: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    repeats: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    stages: Mapping[str, StageRecord] = field(default_factory=dict)
    space: Mapping[str, Json] = field(default_factory=dict)

    def stages_of(self, chain: Mapping[str, str]) -> Iterator[StageRecord]:
        """The finished stages of a chain, in its order."""
        return (self.stages[key] for key in chain.values() if key in self.stages)

    def measured_stages(self) -> list[StageRecord]:
        """Finished stages with operating points: the trials' in order of trial, then the baselines'."""
        chains = [*(t.chain for t in sorted(self.trials, key=lambda t: t.number)), *self.baselines.values()]
        return [stage for chain in chains for stage in self.stages_of(chain) if stage.points]


def find_sweep(sweep: str | Path, runs: Path = RUNS) -> Path:
    """The folder of a sweep, given as a folder, as its name below ``runs`` or as its YAML file. Raises ``NotFound``."""
    if "://" in str(sweep):
        url, _, name = str(sweep).rstrip("/").rpartition("/")
        folder = latest(local_root(url) / name)
        if not (folder / SPACE_FILE).is_file():
            raise NotFound(f"there is no sweep at {sweep}: no {SPACE_FILE} below it; give the URL of a storage and a sweep's name")
        return folder
    given = Path(sweep).expanduser()
    if given.suffix in (".yaml", ".yml") and given.is_file():
        from explorer.spec.load_portfolio import load_any

        given = load_any(given).folder
    for folder in (given, runs / sweep):
        if (folder / SPACE_FILE).is_file():
            return folder
    names = sorted(path.parent.name for path in runs.glob(f"*/{SPACE_FILE}"))
    known = f"; sweeps in {runs}: {', '.join(names)}" if names else f"; there are no sweeps in {runs}"
    raise NotFound(
        f"no sweep {str(sweep)!r}: no such folder with a {SPACE_FILE}{known}; give a sweep's folder, name or YAML file"
    )


def begun_members(folder: Path) -> list[Path]:
    """The folders of the sweeps that have begun among those of the portfolio in ``folder``; of an ordinary sweep, its own.

    Raises:
        NotFound: none has.
    """
    members = member_names(folder)
    if members is None:
        return [folder]
    beside = [latest(folder.with_name(f"{folder.resolve().name}.{name}")) for name in members]
    begun = [member for member in beside if (member / STUDY_FILE).is_file()]
    if not begun:
        raise NotFound(f"no member of {folder.resolve().name} has begun yet ({', '.join(members)}); look again in a minute")
    return begun


def member_names(folder: Path) -> list[str] | None:
    """The members of the portfolio in ``folder``; None where an ordinary sweep is there."""
    text = (folder / SPACE_FILE).read_text(encoding="utf-8")
    if "\nsystems:" not in text:  # reading a long file takes a tenth of a second
        return None
    systems = yaml.safe_load(text).get("systems")
    return None if systems is None else list(systems)


def latest(folder: Path) -> Path:
    """``folder``; where it mirrors one that is given by URL, with what is there now."""
    if Remote.of(folder.parent) is not None:
        from explorer.run.mirror import mirror_of

        mirror = mirror_of(folder)
        assert mirror is not None
        mirror.fetch()
    return folder


def read_sweep(folder: Path) -> SweepRecord:
    """Read the sweep in ``folder``; its store lies beside it. Raises ``NotFound`` where there is none."""
    from explorer.search.reader import read_study, read_study_attrs  # Optuna takes a quarter of a second

    space_file = folder / SPACE_FILE
    if not space_file.is_file():
        raise NotFound(f"there is no sweep in {folder} ({SPACE_FILE} is missing); give a sweep's folder")
    space = yaml.safe_load(space_file.read_text(encoding="utf-8"))
    trials = read_study(folder / STUDY_FILE)
    noted = read_study_attrs(folder / STUDY_FILE)
    baselines: dict[str, dict[str, str]] = noted.get("baselines", {})
    chains = [*(t.attrs.get("chain", {}) for t in trials), *baselines.values()]
    keys = dict.fromkeys(key for chain in chains for key in chain.values())
    store = Store(folder.parent / "store")
    found = {key: _read_stage(store, key) for key in keys}
    return SweepRecord(
        folder=folder,
        name=space["name"],
        system=space["system"],
        trials=tuple(
            TrialRecord(
                number=t.number,
                state="PAUSED" if t.paused_at else t.state,
                parameters=dict(t.params),
                chain=t.attrs.get("chain", {}),
                values=t.values,
                started=t.started,
                ended=t.ended,
                rungs={name: rung["passes"] for name, rung in t.attrs.get("rungs", {}).items()},
                forked_from=None if t.fork is None else t.fork.trial,
            )
            for t in trials
        ),
        baselines=baselines,
        repeats={name: (repeat["trial"], repeat["seed"]) for name, repeat in noted.get("repeats", {}).items()},
        stages={key: stage for key, stage in found.items() if stage is not None},
        space=space,
    )


def _read_stage(store: Store, key: str) -> StageRecord | None:
    try:
        info = store.stage_info(key)
    except CheckpointMissing:
        return None
    return StageRecord(
        key=key,
        stage=info["stage"],
        baseline=info.get("baseline"),
        folder=store.root / key,
        cost=CostTable(**info["cost"]),
        classes=tuple(info["classes"]),
        points=tuple(OperatingPoint.from_dict(raw) for raw in store.points(key)),
        mode=info.get("mode", "policy"),
        training_passes=info.get("training_passes", 0),
        data_fingerprint=info.get("provenance", {}).get("data_fingerprint", ""),
        config=info.get("config", {}),
    )
