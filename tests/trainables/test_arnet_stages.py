"""What AR-Net's stages depend on, and what its configuration refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from tests.trainables.adamml_parts import merged
from tests.trainables.arnet_parts import arnet_config
from trainables.arnet.stages import baseline_stages, main_stages
from trainables.arnet.system import ArNetSystem
from trainables.arnet.tables import TABLES
from trainables.kit.engine.keys import stage_key

WARM = {f"warmup.{level}" for level in ("high", "medium", "low", "lowest")}
# A change, as dotted path and value -> stages of a trial whose key changes.
SEEN_BY = [
    ("alpha", 0.5, {"joint", "finetune"}),
    ("beta", 0.5, {"joint", "finetune"}),
    ("uniform", "norm", {"joint", "finetune"}),
    ("price", "gflops", {"joint", "finetune"}),
    ("temperature.initial", 2.0, {"joint", "finetune"}),
    ("skips", [1, 2, 3], {"joint", "finetune"}),
    ("stages.joint.policy.lr", 0.5, {"joint", "finetune"}),
    ("stages.finetune.epochs", 9, {"finetune"}),
    ("knobs.cost", [0, 1], {"joint", "finetune"}),
    ("backbones.high.widths", [8, 8], {"warmup.high", "joint", "finetune"}),
    ("backbones.medium.size", 40, {"warmup.medium", "joint", "finetune"}),
    ("policy.lstm", 16, {"warmup.lowest", "joint", "finetune"}),
    ("resize", "nearest", {*WARM, "joint", "finetune"}),
    ("stages.warmup.recognition.lr", 0.5, {*WARM, "joint", "finetune"}),
    ("stages.baseline.epochs", 9, set()),
    ("literature_costs", True, set()),
]


def keys_of(changes: Mapping[str, Any]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for stage in main_stages(arnet_config(changes)):
        parents = {name: keys[name] for name in stage.after}
        keys[stage.name] = stage_key("arnet", stage, data_fingerprint="d", seed=0, ranks=1, parents=parents)
    return keys


@pytest.mark.parametrize(("path", "value", "seen"), SEEN_BY, ids=[path for path, _, _ in SEEN_BY])
def test_a_key_changes_exactly_with_what_matters(path, value, seen):
    changes: Any = value
    for name in reversed(path.split(".")):
        changes = {name: changes}
    before, after = keys_of({}), keys_of(changes)
    assert {name for name in before if before[name] != after[name]} == seen


def test_the_lowest_warmup_is_the_policys_own_and_leaves_its_actions_alone():
    (lowest,) = (stage for stage in main_stages(arnet_config()) if stage.name == "warmup.lowest")
    assert lowest.passes[0].trains == ("policy.net", "policy.lstm", "policy.head")


def test_skips_only_warms_up_the_highest_resolution_and_the_policy():
    names = [stage.name for stage in main_stages(arnet_config({"actions": "skips"}))]
    assert names == ["warmup.high", "warmup.lowest", "joint", "finetune"]


def test_without_warm_up_the_joint_stage_is_the_first():
    stages = main_stages(arnet_config({"warm_up": False}))
    assert [(stage.name, stage.after) for stage in stages] == [("joint", ()), ("finetune", ("joint",))]


def test_one_trained_model_is_measured_on_other_numbers_of_frames():
    chain = baseline_stages(arnet_config())["frames"]
    measured = [stage for stage in chain if stage.name.startswith("frames.")]
    assert [stage.mode for stage in measured] == ["frames.4", "frames.8", "frames.16", "frames.25", "frames.32"]
    assert all(stage.epochs == 0 and stage.after == ("finetune",) for stage in measured)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"data": {"modalities": ["rgb", "audio"]}}, "must be \\[rgb\\]"),
        ({"policy": {"size": 96}}, "must fall"),
        ({"backbones": {"high": {"size": 80}}}, "must fall"),
        ({"skips": [2, 2]}, "each once"),
        ({"knobs": {"cost": [1, 2]}}, "must hold 0"),
        ({"data": {"segments": {"frames": 2, "span_frames": 8}}}, "a decision a frame"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused_with_the_rule(changes, rule):
    with pytest.raises(ValidationError, match=rule):
        arnet_config(merged({}, changes))


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_row_of_a_table_is_a_configuration_with_its_stage(name):
    for preset in ("tiny", "paper"):
        for row in TABLES[name].rows:
            changes: dict[str, Any] = {}
            for path, value in row.settings(preset).items():
                for part in reversed(path.split(".")):
                    value = {part: value}
                changes = merged(changes, value)
            config = arnet_config(changes, preset=preset)
            known = {s.name for s in main_stages(config)} | {
                s.name for c in baseline_stages(config).values() for s in c
            }
            assert row.stage is None or row.stage in known


def test_every_published_row_of_ours_is_a_row_that_can_be_trained():
    for row in ArNetSystem().published():
        if row.row is not None:
            assert row.row in {known.name for known in TABLES[row.table].rows}, row.method
