"""Where a stage job meets the store: nothing is lost when a kill comes while a stage is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

import explorer.execute
from explorer.execute import execute
from explorer.store import Store
from trainables.kit.engine.keys import stage_jobs
from trainables.toy.config import ToyConfig
from trainables.toy.system import ToySystem

TOY = ToySystem()


def jobs_of(config: ToyConfig):
    return stage_jobs(TOY, config, seed=0, ranks=1, stages=TOY.stages(config))


def run(job, store: Store, cache: Path) -> list[int]:
    trained: list[int] = []
    execute(job, store=store, cache=cache, on_epoch=lambda report: trained.append(report.epoch) or True)
    return trained


def test_a_stage_that_is_in_the_store_is_not_trained_again(tmp_path):
    store, warmup = Store(tmp_path), jobs_of(ToyConfig())[0]
    assert run(warmup, store, tmp_path) == [0, 1]
    assert run(warmup, store, tmp_path) == []


def test_a_kill_at_any_test_measurement_costs_no_epoch_and_changes_no_point(tmp_path, monkeypatch):
    whole = Store(tmp_path / "whole")
    warmup, joint, _ = jobs_of(ToyConfig())
    for job in (warmup, joint):
        run(job, whole, tmp_path)

    class Killed(BaseException):
        pass

    killed = Store(tmp_path / "killed")
    run(warmup, killed, tmp_path)
    real, left = explorer.execute.replay_epoch, [0]

    def dying(*arguments, **named):
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        return real(*arguments, **named)

    monkeypatch.setattr(explorer.execute, "replay_epoch", dying)
    for survives in range(2):
        left[0] = survives
        with pytest.raises(Killed):
            run(joint, killed, tmp_path)
    left[0] = 100
    assert run(joint, killed, tmp_path) == []
    assert killed.points(joint.key) == whole.points(joint.key)
    files = [
        sorted(str(f.relative_to(s.path(joint.key))) for f in s.path(joint.key).rglob("*")) for s in (whole, killed)
    ]
    assert files[0] == files[1]


def test_only_epochs_that_can_be_on_a_front_keep_their_weights_and_are_measured_on_test(tmp_path):
    store = Store(tmp_path)
    for job in jobs_of(ToyConfig.model_validate({"stages": {"joint": {"epochs": 8}}}))[:2]:
        run(job, store, tmp_path)
    folder = store.path(job.key) / "epochs"
    kept = {int(f.parent.name) for f in folder.glob("*/weights.safetensors")}
    assert {p["epoch"] for p in store.points(job.key) if p["test"] is not None} == kept
    assert {p["epoch"] for p in store.points(job.key)} == set(range(8))
    assert 7 in kept


def test_a_stage_without_epochs_has_the_points_of_the_epoch_that_it_starts_from(tmp_path):
    store = Store(tmp_path)
    warmup, joint, finetune = jobs_of(ToyConfig.model_validate({"stages": {"finetune": {"epochs": 0}}}))
    assert [run(job, store, tmp_path) for job in (warmup, joint, finetune)] == [[0, 1], [0, 1, 2, 3], [0]]
    last = [point for point in store.points(joint.key) if point["epoch"] == 3]
    measured = store.points(finetune.key)
    assert {point["epoch"] for point in measured} == {0}
    for name in ("knobs", "val", "test"):
        assert [point[name] for point in measured] == [point[name] for point in last]


class OtherToy(ToySystem):
    """The same name and declarations, another class: it may train differently."""


def test_a_subclass_with_the_same_declarations_shares_no_key():
    config = ToyConfig()
    other = stage_jobs(OtherToy(), config, seed=0, ranks=1, stages=OtherToy().stages(config))
    assert not {job.key for job in other} & {job.key for job in jobs_of(config)}
