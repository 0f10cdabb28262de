"""What each stage declares: what it starts from, what it trains, and what changes its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainables.adamml_parts import tiny_config
from trainables.adamml.stages import baseline_stages, main_stages
from trainables.adamml.system import AdaMMLSystem
from trainables.kit.engine.keys import stage_key

ALL = {"data": {"modalities": ["rgb", "audio", "flow"]}, "policy": {"sees": {"flow": "rgbdiff"}}}


def keys_of(changes: dict) -> dict[str, str]:
    """Key of every stage of every chain."""
    config = tiny_config(changes)
    stages = {s.name: s for s in main_stages(config)}
    for chain in baseline_stages(config).values():
        stages |= {s.name: s for s in chain}
    keys: dict[str, str] = {}
    while len(keys) < len(stages):
        for name, stage in stages.items():
            if name not in keys and set(stage.after) <= set(keys):
                parents = {p: keys[p] for p in stage.after}
                keys[name] = stage_key("adamml", stage, data_fingerprint="d", seed=0, ranks=1, parents=parents)
    return keys


UNIMODAL = {"unimodal.rgb", "unimodal.audio"}
POLICY_ON = {"joint", "finetune", "random_train.joint", "random_train", "random_test"}
AFTER_UNIMODAL = {"warmup", "random_both", *POLICY_ON} | {
    f"{name}_fusion" for name in ("weighted", "average", "class_wise", "max", "fc2")
}


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"lambda": {"rgb": 0.3}}, POLICY_ON),
        ({"lambda": {"flow": 0.3}}, set()),
        ({"gamma": 3.0}, set()),
        ({"gamma": 3.0, "correctness": "soft"}, POLICY_ON),
        ({"temperature": {"initial": 2.0}}, POLICY_ON),
        ({"stages": {"finetune": {"epochs": 3}}}, {"finetune", "random_train", "random_test"}),
        ({"stages": {"warmup": {"epochs": 3}}}, POLICY_ON | {"warmup"}),
        ({"stages": {"fusion": {"epochs": 3}}}, {n for n in AFTER_UNIMODAL if n.endswith("_fusion")}),
        ({"stages": {"random": {"epochs": 3}}}, {"random_both"}),
        ({"recognition": {"fc2_hidden": 7}}, {"fc2_fusion"}),
        ({"recognition": {"audio": {"widths": [4, 8]}}}, AFTER_UNIMODAL | {"unimodal.audio"}),
        ({"policy": {"lstm": None}}, AFTER_UNIMODAL),
        ({"policy": {"decision": "joint"}}, AFTER_UNIMODAL),
        ({"data": {"audio": {"mean": -3.0}}}, AFTER_UNIMODAL | {"unimodal.audio"}),
        ({"data": {"flow": {"bound": 10}}}, set()),
        ({"compute": {"precision": "bfloat16"}}, AFTER_UNIMODAL | UNIMODAL),
        ({"compute": {"mode": "dense"}}, {n for n in AFTER_UNIMODAL if not n.endswith("_fusion")}),
        ({"compute": {"compile": True}}, set()),
        ({"fusion": "average"}, AFTER_UNIMODAL),
    ],
)
def test_a_change_reaches_the_keys_of_the_stages_that_it_can_change(change, changed):
    base = {"correctness": "soft"} if "correctness" in change else {}
    before, after = keys_of(base), keys_of(change)
    assert {name for name in before if before[name] != after[name]} == changed


def test_flow_settings_change_the_stages_that_read_flow():
    before, after = keys_of(ALL), keys_of({**ALL, "data": {**ALL["data"], "flow": {"bound": 10}}})
    assert before["unimodal.rgb"] == after["unimodal.rgb"]
    assert before["unimodal.flow"] != after["unimodal.flow"]
    assert before["warmup"] != after["warmup"]


def test_a_checkpoint_from_elsewhere_replaces_the_training_of_its_unimodal_stage(tmp_path: Path):
    path = tmp_path / "rgb.safetensors"
    path.write_bytes(b"one")
    change = {"recognition": {"rgb": {"checkpoint": str(path)}}}
    rgb, audio = main_stages(tiny_config(change))[:2]
    assert (rgb.epochs, rgb.training_passes, audio.epochs) == (0, 0, 50)
    before = keys_of(change)
    path.write_bytes(b"another one")
    assert keys_of(change)["unimodal.rgb"] != before["unimodal.rgb"]


def test_the_three_stages_take_55_passes_and_the_baselines_35_epochs_as_published():
    config = AdaMMLSystem.Config.model_validate({"data": {"manifest": "unused.jsonl"}})
    passes = {stage.name: stage.training_passes for stage in main_stages(config)}
    assert passes["warmup"] + passes["joint"] + passes["finetune"] == 55
    chains = baseline_stages(config)
    assert {chains[name][-1].epochs for name in chains if name.endswith("_fusion")} == {35}
    assert chains["random_both"][-1].epochs == 35
    assert chains["random_test"][-1].epochs == 0
    assert {stage.name: stage.epochs for stage in main_stages(config)} == {
        "unimodal.rgb": 60,
        "unimodal.audio": 60,
        "warmup": 5,
        "joint": 20,
        "finetune": 10,
    }


def test_stages_with_a_policy_read_what_it_sees_and_unimodal_ones_do_not():
    stages = {stage.name: stage.modalities for stage in main_stages(tiny_config(ALL))}
    assert stages["joint"] == ("rgb", "audio", "flow", "rgbdiff")
    assert stages["unimodal.flow"] == ("flow",)


@pytest.mark.parametrize(
    ("sees", "message"),
    [({"flow": "depth"}, "must name modalities"), ({"flow": "audio"}, "a picture for a picture")],
)
def test_a_stand_in_must_be_a_modality_of_the_same_kind(sees, message):
    with pytest.raises(ValueError, match=message):
        tiny_config({"data": {"modalities": ["rgb", "flow"]}, "policy": {"sees": sees}})
