from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from explorer.errors import NotFound, SpecError
from explorer.spec import Budget, Choice, Log, SearchSpace, load_space
from explorer.tracking.where import tracking_uri
from tests.spec.fake import FakeConfig

GOOD = """\
name: mine
system: tests.spec.fake:FakeSystem
preset: big
data: {manifest: videos.jsonl}
first: {rate: 0.5}
search:
  lambda.rgb: {log: [0.05, 4]}
  kind: {choice: [a, b]}
budget: {trials: 3}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a manifest and, apart from it, a working folder."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "videos.jsonl").write_text("")
    return tmp_path


def load(folder: Path, text: str, overrides: Sequence[str] = (), *, files: bool = True) -> SearchSpace:
    path = folder / "space.yaml"
    path.write_text(text)
    return load_space(path, overrides, files=files)


def problems(folder: Path, text: str, overrides: Sequence[str] = ()) -> tuple[str, ...]:
    with pytest.raises(SpecError) as caught:
        load(folder, text, overrides)
    return caught.value.problems


def test_a_good_file_becomes_a_frozen_space(folder: Path) -> None:
    space = load(folder, GOOD)
    assert space.search == {"lambda.rgb": Log(0.05, 4.0), "kind": Choice(("a", "b"))}
    assert space.objectives == {"accuracy": "max", "gflops": "min"}
    assert space.budget == Budget(trials=3)
    assert space.folder == folder / "work" / "runs" / "mine"
    assert space.store_folder == folder / "work" / "runs" / "store"
    assert space.tracking == f"sqlite:///{folder}/work/runs/mlflow.db"
    with pytest.raises(ValueError):
        space.name = "other"  # type: ignore[misc]


def test_yaml_lies_over_preset_lies_over_defaults_of_the_instance(folder: Path) -> None:
    config = load(folder, GOOD).base_config()
    assert isinstance(config, FakeConfig)
    assert (config.first.rate, config.first.epochs) == (0.5, 5)  # the class's own default is 1 epoch
    assert config.second.epochs == 9
    assert (config.lambda_.rgb, config.lambda_.audio) == (1.0, 2.0)


def test_searched_values_are_set_by_the_names_of_the_yaml(folder: Path) -> None:
    space = load(folder, GOOD)
    config = space.configure({"lambda.rgb": 0.125, "kind": "b"})
    assert isinstance(config, FakeConfig)
    assert (config.lambda_.rgb, config.lambda_.audio, config.kind) == (0.125, 2.0, "b")
    assert space.base_config() != config


def test_values_that_are_refused_together_are_told_as_a_spec_error(folder: Path) -> None:
    space = load(folder, GOOD)
    with pytest.raises(SpecError, match=r"low must not exceed high, got 2\.0 > 1\.0"):
        space.configure({"low": 2.0})


def test_the_manifest_is_relative_to_the_yaml_and_storage_to_the_working_folder(folder: Path) -> None:
    space = load(folder, GOOD + "storage: elsewhere\n")
    assert space.config["data"]["manifest"] == str(folder / "videos.jsonl")
    assert space.storage == str(folder / "work" / "elsewhere")


def test_the_written_space_loads_as_an_equal_one_from_any_folder(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = load(folder, GOOD, ["constraints=['gflops <= 80']", "budget={hours: 2}"])
    other = tmp_path_factory.mktemp("other")
    (other / "space.yaml").write_text(space.to_yaml())
    monkeypatch.chdir(other)
    assert load_space(other / "space.yaml") == space


EVERYTHING_WRONG = """\
name: bad name
system: tests.spec.fake:FakeSystem
preset: bigg
data: {manifest: gone.jsonl, klasses: 3}
first: {epochs: many}
secnd: {epochs: 3}
search:
  lambda.rgb: {log: [0, 4]}
  lambda.audio: {uniform: [0, 101]}
  lambda.rbg: {log: [1, 2]}
  first.epochs: {int: [5, 2]}
  kind: {choice: [a, c]}
  kind.deeper: {choice: [a]}
  lambda_.rgb: {log: [1, 2]}
objectives: {accuracy: min, speed: max}
constraints: ["gflops < 80", "latency <= 3"]
baselines: [all_onn]
sampler: tep
budget: {trials: -1, epochs: 3}
resources: {worker: 2}
resources: {workers: 2}
storage: nosuch://bucket
seed: -1
"""

EXPECTED = [  # line, what was found, what is allowed
    ("line 1: name: ", "'bad name'", "letters, digits"),
    ("line 3: unknown preset 'bigg'", "did you mean 'big'", "allowed: tiny, big"),
    ("line 4: data.manifest: ", "gone.jsonl does not exist", "give the path of a file"),
    ("line 4: data.klasses: unknown key", "did you mean 'classes'", "allowed: manifest, classes"),
    ("line 5: first.epochs: ", "found 'many'", "valid integer"),
    ("line 6: secnd: unknown key", "did you mean 'second'", "allowed: lambda, first, second"),
    ("line 8: search.lambda.rgb: ", "[0, 4]", "low > 0"),
    ("line 9: search.lambda.audio: ", "does not take 101.0", "less than or equal to 100"),
    ("line 10: search.lambda.rbg: not a field", "did you mean 'lambda.rgb'", "allowed: lambda.rgb, lambda.audio"),
    ("line 11: search.first.epochs: ", "[5, 2]", "low < high"),
    ("line 12: search.kind: ", "does not take 'c'", "'a' or 'b'"),
    ("line 13: search.kind.deeper: not a field", "", "allowed: lambda, first, second, kind"),
    ("line 14: search.lambda_.rgb: not a field", "did you mean 'lambda.rgb'", "allowed: lambda"),
    ("line 15: objectives: ", "accuracy must be 'max'; found 'min'", "unknown objective 'speed'; allowed: accuracy"),
    ("line 16: constraints.0: ", "'gflops < 80'", "gflops <= 80"),
    ("line 16: constraints.1: ", "unknown metric 'latency'", "allowed: accuracy, gflops"),
    ("line 17: unknown baseline 'all_onn'", "did you mean 'all_on'", "allowed: all_on"),
    ("line 18: unknown sampler 'tep'", "did you mean 'tpe'", "allowed: tpe, random, qmc, nsga2, nsga3, gp, grid"),
    ("line 19: budget.trials: ", "found -1", "greater than or equal to 0"),
    ("line 19: budget.epochs: unknown key", "", "allowed: trials, passes, hours"),
    ("line 20: resources.worker: unknown key", "did you mean 'workers'", "allowed: workers, groups"),
    ("line 21: resources: given twice", "first on line 20", "remove one"),
    ("line 22: storage must be a folder", "'nosuch://bucket'", ""),
    ("line 23: seed: ", "found -1", "greater than or equal to 0"),
]


def test_every_error_comes_in_one_report_with_line_value_and_what_is_allowed(folder: Path) -> None:
    found = problems(folder, EVERYTHING_WRONG)
    assert len(found) == len(EXPECTED)
    for text, parts in zip(found, EXPECTED, strict=True):
        assert text.startswith(parts[0])
        assert parts[1] in text
        assert parts[2] in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the file is empty"),
        ("- a\n- b\n", "line 1: the file must hold keys and values; found list"),
        ("name: a\n", "line 1: system: missing"),
        ("system: [toy\n", "line 2: not valid YAML"),
        ("system: nope\n", "line 1: unknown system 'nope'; allowed: adamml, arnet, adafuse, toy, or module:Class"),
        ("system: tyo\n", "did you mean 'toy'?"),
        ("system: no_such_package.nets:Net\n", "line 1: system 'no_such_package.nets:Net' cannot be imported"),
        ("system: tests.spec.fake:FakeConfig\n", "must be a subclass of"),
        ("system: toy\nbudget: {}\n", "line 2: budget: a budget must give at least one of trials, passes, hours"),
        ("system: toy\nbudget: many\n", "line 2: budget: "),
        ("system: toy\nname: store\n", "folders that all sweeps share"),
        ("system: tests.spec.fake:FakeSystem\n", "line 1: data.manifest: missing; it must be given"),
        ("system: toy\nsearch: {gamma: 3}\n", "line 2: search.gamma: a dimension must be"),
        ("system: toy\nobjectives: {}\n", "at least one objective"),
    ],
)
def test_a_broken_file_says_what_is_wrong(folder: Path, text: str, message: str) -> None:
    assert any(message in found for found in problems(folder, text))


def test_a_search_that_breaks_a_rule_between_fields_is_told_at_its_line(folder: Path) -> None:
    (found,) = problems(folder, GOOD.replace("  kind: {choice: [a, b]}", "  low: {uniform: [0, 2]}"))
    assert found == "line 8: search.low: the field does not take 2.0: low must not exceed high, got 2.0 > 1.0"


def test_a_missing_manifest_may_be_ignored(folder: Path) -> None:
    text = GOOD.replace("videos.jsonl", "later.jsonl")
    assert load(folder, text, files=False).config["data"]["manifest"] == str(folder / "later.jsonl")
    assert "does not exist" in problems(folder, text)[0]


def test_a_folder_is_no_manifest(folder: Path) -> None:
    assert "is a folder" in problems(folder, GOOD.replace("videos.jsonl", "work"))[0]


def test_overrides_reach_every_key(folder: Path) -> None:
    space = load(
        folder,
        GOOD,
        [
            "budget.trials=8",
            "lambda.audio=3",
            "second.rate=1e-3",
            "search.lambda.audio={log: [0.1, 1]}",
            "search.kind=null",
            "sampler=random",
            "resources.workers=2",
        ],
    )
    config = space.base_config()
    assert isinstance(config, FakeConfig)
    assert space.budget == Budget(trials=8)
    assert (config.lambda_.audio, config.second.rate, config.second.epochs) == (3.0, 1e-3, 9)
    assert set(space.search) == {"lambda.rgb", "lambda.audio"}
    assert (space.sampler, space.resources.workers) == ("random", 2)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("budget.trial=8", "-o budget.trial=8: budget.trial: unknown key; did you mean 'trials'?"),
        ("budget.trials", "-o budget.trials: must be key=value"),
        ("=3", "-o =3: must be key=value"),
        ("budget.trials=[1", "-o budget.trials=[1: not valid YAML"),
        ("name.deeper=1", "a part of name.deeper is a value"),
        (
            "search.lambda.rgb={log: [0, 1]}",
            "-o search.lambda.rgb={log: [0, 1]}: search.lambda.rgb: log must have low > 0",
        ),
        ("lambda.rgb=200", "-o lambda.rgb=200: lambda.rgb: input should be less than or equal to 100; found 200"),
        ("kind.deeper=1", "-o kind.deeper=1: kind: "),
    ],
)
def test_a_wrong_override_is_told_as_it_was_written(folder: Path, override: str, message: str) -> None:
    assert message in problems(folder, GOOD, [override])[0]


def test_a_name_that_nothing_has_lists_the_packaged_spaces(folder: Path) -> None:
    with pytest.raises(NotFound, match=r"adamml_small, arnet_activitynet, .*, quickstart, three_systems, toy"):
        load_space("quikstart")


def test_a_folder_or_binary_file_is_refused(folder: Path) -> None:
    with pytest.raises(NotFound):
        load_space(folder)
    (folder / "space.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NotFound, match="cannot be read as a text file"):
        load_space(folder / "space.yaml")


def test_the_name_is_the_files_own_where_none_is_given(folder: Path) -> None:
    assert load(folder, GOOD.replace("name: mine\n", "")).name == "space"


def test_tracking_is_the_yamls_else_the_environments_else_beside_the_sweeps(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert load(folder, GOOD).tracking == "http://127.0.0.1:5000"
    assert load(folder, GOOD + "tracking: sqlite:///a/b.db\n").tracking == f"sqlite:///{folder}/work/a/b.db"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert load(folder, GOOD).tracking == f"sqlite:///{folder}/work/runs/mlflow.db"


def test_first_points_must_name_searched_fields_and_lie_inside_their_dimensions(folder: Path) -> None:
    good = load(folder, GOOD + "first_points: [{lambda.rgb: 1, kind: b}, {kind: a}]\n")
    assert good.first_points == ({"lambda.rgb": 1, "kind": "b"}, {"kind": "a"})
    first, second = problems(folder, GOOD + "first_points: [{lambda.rgb: 9}, {lambda.audio: 1}]\n")
    assert "lambda.rgb must lie in log [0.05, 4.0]; found 9" in first
    assert "'lambda.audio' is not searched" in second


def test_a_plateau_is_a_budget(folder: Path) -> None:
    assert load(folder, GOOD.replace("{trials: 3}", "{plateau: 4}")).budget == Budget(plateau=4)


def test_a_password_of_the_tracking_server_stays_in_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "https://me:pa:ss@host/mlflow"
    (problem,) = problems(folder, GOOD, [f"tracking={secret}"])
    assert "must hold no password" in problem and "'https://***@host/mlflow'" in problem and "MLFLOW_TRACKING_URI" in problem
    monkeypatch.setenv("MLFLOW_TRACKING_URI", secret)
    space = load(folder, GOOD)
    assert "pa:ss" not in space.to_yaml()
    assert tracking_uri(space) == secret
    for harmless in ("https://host:5000/", "http://me@host", "sqlite:////a:b@c/mlflow.db"):
        assert load(folder, GOOD, [f"tracking={harmless}"]).tracking == harmless
