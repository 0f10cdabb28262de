"""What AdaFuse's stages depend on, and what its configuration refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from tests.trainables.adafuse_parts import adafuse_config
from tests.trainables.adamml_parts import merged
from trainables.adafuse.inert import inert_warnings
from trainables.adafuse.stages import baseline_stages, main_stages
from trainables.adafuse.system import AdaFuseSystem
from trainables.adafuse.tables import TABLES
from trainables.kit.engine.keys import stage_key

BOTH = {"warmup", "joint"}
# A change, as dotted path and value -> stages of a trial whose key changes.
SEEN_BY = [
    ("lambda", 0.5, {"joint"}),
    ("saving", "upb", {"joint"}),
    ("price", "gflops", {"joint"}),
    ("temperature.initial", 2.0, {"joint"}),
    ("gates.hidden", 16, {"joint"}),
    ("gates.keep", 0.0, {"joint"}),
    ("gates.blocks", "last", {"joint"}),
    ("gates.quota", 1024, set()),  # of no effect beside gates.hidden
    ("knobs.keep", [0, 1], {"joint"}),
    ("stages.joint.epochs", 9, {"joint"}),
    ("network.shift", True, BOTH),
    ("network.widths", [8, 16], BOTH),
    ("network.dropout", 0.1, BOTH),
    ("stages.warmup.epochs", 9, BOTH),
    ("network.lstm", 16, set()),
    ("stages.baseline.epochs", 9, set()),
    ("fixed.threshold", 0.3, set()),
    ("fixed.cgnet.target", 2.0, set()),
]


def nested(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


def keys_of(changes: Mapping[str, Any]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for stage in main_stages(adafuse_config(changes)):
        parents = {name: keys[name] for name in stage.after}
        keys[stage.name] = stage_key("adafuse", stage, data_fingerprint="d", seed=0, ranks=1, parents=parents)
    return keys


@pytest.mark.parametrize(("path", "value", "seen"), SEEN_BY, ids=[path for path, _, _ in SEEN_BY])
def test_a_key_changes_exactly_with_what_matters(path, value, seen):
    before, after = keys_of({}), keys_of(nested(path, value))
    assert {name for name in before if before[name] != after[name]} == seen


def test_without_epochs_of_warm_up_training_begins_with_the_published_weights():
    (joint,) = main_stages(adafuse_config(preset="paper"))
    assert (joint.name, joint.after, joint.epochs, joint.candidates) == ("joint", (), 50, "every")
    assert all(len(chain) == 1 for chain in baseline_stages(adafuse_config(preset="paper")).values())


def test_baselines_share_the_warm_up_and_end_in_their_own_mode():
    chains = baseline_stages(adafuse_config())
    assert {name: chain[-1].mode for name, chain in chains.items()} == {
        "plain": "all_on",
        "lstm": "lstm",
        "threshold": "threshold",
        "cgnet": "cgnet",
        "random": "random",
        "ada_skip": "ada_skip",
        "ada_reuse": "ada_reuse",
    }
    assert {chain[0].name for chain in chains.values()} == {"warmup"}
    assert set(AdaFuseSystem().modes(adafuse_config())) >= {chain[-1].mode for chain in chains.values()}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"data": {"modalities": ["rgb", "audio"]}}, "must be \\[rgb\\]"),
        ({"data": {"segments": {"frames": 2, "span_frames": 8}}}, "decisions a frame"),
        ({"network": {"backbone": "resnet34"}}, "backbone must be one of"),
        ({"network": {"widths": []}}, "widths must be given with"),
        ({"network": {"backbone": "resnet18"}}, "widths must be given with"),
        ({"network": {"backbone": "bn_inception", "widths": [], "shift": True}}, "shift must be false"),
        ({"knobs": {"keep": [1, 2]}}, "must hold 0"),
        ({"fixed": {"random": [0.5, 0.5, 0.5]}}, "add up to 1"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused_with_the_rule(changes, rule):
    with pytest.raises(ValidationError, match=rule):
        adafuse_config(changes)


def test_searched_fields_without_effect_are_told():
    told = inert_warnings(adafuse_config(), ["lambda", "gates.quota", "knobs.keep", "network.lstm"])
    assert [line.split(" ")[0] for line in told] == ["gates.quota", "knobs.keep", "network.lstm"]


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_row_of_a_table_is_a_configuration_with_its_stage(name):
    for preset in ("tiny", "paper"):
        for row in TABLES[name].rows:
            changes: dict[str, Any] = {}
            for path, value in row.settings(preset).items():
                changes = merged(changes, nested(path, value))
            config = adafuse_config(changes, preset=preset)
            chains = baseline_stages(config).values()
            known = {s.name for s in main_stages(config)} | {s.name for chain in chains for s in chain}
            assert row.stage is None or row.stage in known


def test_every_published_row_of_ours_is_a_row_that_can_be_trained():
    published = AdaFuseSystem().published()
    for row in published:
        if row.row is not None:
            assert row.row in {known.name for known in TABLES[row.table].rows}, row.method
    linked = {(row.table, row.row) for row in published}
    assert all((table.name, row.name) in linked for table in TABLES.values() for row in table.rows)
