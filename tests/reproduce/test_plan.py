"""What a reproduction would train: rows valid in every preset, shared stages shared, wrong input told."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.errors import NotFound, SpecError, UserError
from explorer.reproduce import known_tables, plan_reproduction
from explorer.reproduce.plan import Reproduction
from explorer.spec.plan import chain, distinct_stages
from tests.reproduce.tabled import REFERENCE
from trainables.adamml.system import AdaMMLSystem

ADAMML = AdaMMLSystem()


def trade(*overrides: str, preset: str = "tiny", seeds: int = 1) -> Reproduction:
    return plan_reproduction("trade", system=REFERENCE, preset=preset, seeds=seeds, overrides=overrides)


def adamml(name: str, clips: Path, preset: str = "tiny", seeds: int = 1, *overrides: str) -> Reproduction:
    return plan_reproduction(name, system="adamml", preset=preset, manifest=clips, seeds=seeds, overrides=overrides)


@pytest.mark.parametrize("preset", sorted(ADAMML.presets))
@pytest.mark.parametrize("name", ADAMML.tables())
def test_every_row_is_a_valid_configuration_in_every_preset(name: str, preset: str, clips: Path) -> None:
    plan = adamml(name, clips, preset)
    for row in plan.rows:
        last = plan.jobs[row.name, 0][-1]
        assert last.stage == (row.stage or "finetune")
    assert plan.space.name == f"reproduce-{name}-{preset}"
    assert plan.published or name in {"sensitivity"}


def test_rows_share_unimodal_nets_and_warmup(clips: Path) -> None:
    plan = adamml("table1", clips, seeds=2)
    stages = distinct_stages(plan.chains)
    assert sorted(s.name for s in stages) == sorted(
        2 * ["unimodal.rgb", "unimodal.audio", "weighted_fusion", "warmup", "joint", "finetune"]
        + 2 * ["random_train.joint", "random_train", "random_test", "random_both"]
    )
    by_name = {(s.name, s.key): s for s in stages}
    unimodal = next(s for (name, _), s in by_name.items() if name == "unimodal.rgb")
    assert len(unimodal.baselines) == 6  # alone, in the fusion, in AdaMML, in each random policy


def test_mixes_of_table_7_share_each_modalitys_net(clips: Path) -> None:
    stages = distinct_stages(adamml("table7", clips).chains)
    assert sorted(s.name for s in stages if s.name.startswith("unimodal.")) == [
        "unimodal.audio",
        "unimodal.flow",
        "unimodal.rgb",
    ]


def test_a_sweep_of_the_same_configuration_shares_the_tables_stages(clips: Path) -> None:
    plan = adamml("table1", clips)
    assert chain(plan.space, {}) == plan.jobs["adamml", 0]


def test_sensitivity_varies_one_field_at_a_time(clips: Path) -> None:
    plan = adamml("sensitivity", clips)
    ends = {name: plan.jobs[name, 0] for name, _ in plan.jobs}
    assert len({jobs[-1].key for jobs in ends.values()}) == len(ends)
    assert len({jobs[-3].key for jobs in ends.values()}) == 1  # one warm-up for all


def test_seeds_are_numbered_from_the_spaces_seed_and_change_every_key() -> None:
    plan = trade("seed=5", seeds=2)
    assert plan.seeds == (5, 6)
    first, second = ({job.key for job in plan.jobs["dear", seed]} for seed in plan.seeds)
    assert not first & second
    assert list(plan.chains)[:4] == [f"row {row}, seed 5" for row in ("rgb", "fusion", "cheap", "dear")]


def test_preset_table_command_line_and_row_lie_over_each_other_in_this_order() -> None:
    config = {name: jobs[-1].config for (name, _), jobs in trade("lambda.rgb=0.5").jobs.items()}
    assert config["dear"]["lambda"] == {"rgb": 0.5, "audio": 0.5}
    assert config["cheap"]["lambda"] == {"rgb": 4.0, "audio": 0.5}
    assert config["dear"]["gamma"] == 1.5
    paper = trade("gamma=2", preset="paper").jobs["dear", 0][-1].config
    assert (paper["lambda"]["audio"], paper["gamma"]) == (0.125, 2.0)


def test_one_row_can_be_given_its_own_fields() -> None:
    plan = trade("rows.dear.lambda.rgb=0.01", "rows.dear.gamma=3")
    assert plan.jobs["dear", 0][-1].config["lambda"]["rgb"] == 0.01
    assert plan.jobs["cheap", 0][-1].config["gamma"] == 1.5


def test_a_table_of_another_system_than_the_one_meant_lies_in_a_folder_of_its_own() -> None:
    assert trade().space.name == "reproduce-tabled-toy-trade-tiny"
    assert plan_reproduction("trade", system=REFERENCE).found.reference == REFERENCE
    assert "table1" in {found.table.name for found in known_tables("adamml")}


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["rows.deer.gamma=1"], "did you mean 'dear'"),
        (["rows.dear=1"], "must be rows.ROW.KEY=VALUE"),
        (["rows.dear.gamma=[1"], "not valid YAML"),
        (["rows.dear.gamma=-1"], "row dear: gamma: "),
        (["rows.dear.gama=1"], "row dear: gama: "),
        (["gama=1"], "did you mean 'gamma'"),
        (["budget.trials=3"], "a table's rows are all that is trained"),
        (["search.gamma={uniform: [0, 1]}"], "a table's rows are all that is trained"),
        (["baselines=[unimodal]"], "a table's rows are all that is trained"),
    ],
)
def test_wrong_overrides_are_told(overrides: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says.replace("[", r"\[").replace(".", r"\.")):
        trade(*overrides)


def test_all_rows_that_refuse_their_fields_are_told_together() -> None:
    with pytest.raises(SpecError) as told:
        trade("rows.dear.gamma=-1", "rows.cheap.gamma=-2")
    assert len(told.value.problems) == 2


def test_unknown_tables_seeds_and_manifests_are_told() -> None:
    with pytest.raises(NotFound, match="did you mean 'trade'"):
        plan_reproduction("trades", system=REFERENCE)
    with pytest.raises(UserError, match="--seeds must be 1 or more, got 0"):
        trade(seeds=0)
    with pytest.raises(UserError, match="reads no videos"):
        plan_reproduction("trade", system=REFERENCE, manifest=Path("some.jsonl"))
    with pytest.raises(SpecError, match="does not exist"):
        plan_reproduction("table1", manifest=Path("gone.jsonl"))
