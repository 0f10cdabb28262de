"""``start_with: conditioned``: a sweep whose first trial serves every value of the weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.errors import SpecError
from explorer.search.book import StudyBook
from explorer.search.from_space import _first_points
from explorer.search.search import Search
from explorer.spec import load_space
from explorer.spec.dimension import Choice
from explorer.spec.draws import default_point
from explorer.spec.load import make_space

OVERRIDES = [
    "start_with=conditioned",
    "search.gamma=null",
    "search.lambda.rgb={log: [0.1, 4]}",
    "policy.draws={rgb: null, audio: null}",
]
FIELD = "policy.conditioning"


def space(*overrides: str):
    return load_space("adamml_small", [*OVERRIDES, *overrides], files=False)


def test_the_first_trial_is_conditioned_on_the_searched_ranges() -> None:
    found = space()
    assert found.search[FIELD] == Choice(("lambda", "none"))
    assert default_point(found)[FIELD] == "lambda"
    config = found.base_config()
    assert config.conditioned
    assert config.lambda_range("rgb") == (0.1, 4.0)


def test_ranges_that_the_yaml_gives_stay() -> None:
    assert space("policy.draws.rgb=[0.3, 3]").base_config().lambda_range("rgb") == (0.3, 3.0)


def test_what_is_written_out_loads_as_the_same_space(tmp_path: Path) -> None:
    found = space()
    written = tmp_path / "space.yaml"
    written.write_text(found.to_yaml())
    assert load_space(written, files=False) == found


def test_a_conditioned_trial_is_the_same_whatever_weights_are_proposed_for_it() -> None:
    found = space()
    point = default_point(found)
    assert found.canonical({**point, "lambda.rgb": 3.0}) == found.canonical(point)
    other = {**point, FIELD: "none", "lambda.rgb": 3.0}
    assert found.canonical(other) == other
    assert found.canonical({**point, "temperature.initial": 2.0})["temperature.initial"] == 2.0


def test_no_second_conditioned_trial_is_asked_for_where_only_the_weights_are_searched(tmp_path: Path) -> None:
    found = space(*(f"search.temperature.{name}=null" for name in ("initial", "anneal.decay")))
    search = Search(
        name="mine",
        search=found.search,
        objectives=found.objectives,
        sampler="random",
        first_points=(default_point(found),),
        canonical=found.canonical,
    )
    book = StudyBook(tmp_path / "study.journal", search, trials=8)
    asked = [book.ask() for _ in range(8)]
    book.close()
    assert [trial.params[FIELD] for trial in asked if trial is not None] == ["lambda", *["none"] * 7]


def test_a_first_point_that_names_a_weight_is_an_independent_trial() -> None:
    found = space("first_points=[{lambda.rgb: 2}, {temperature.initial: 3}]")
    points = _first_points(found)
    assert [point[FIELD] for point in points] == ["lambda", "none", "lambda"]
    assert points[1]["lambda.rgb"] == 2


def test_without_a_weight_that_is_searched_it_is_refused() -> None:
    with pytest.raises(SpecError, match="start_with: conditioned needs a searched range above 0"):
        space("search.lambda.rgb=null", "search.lambda.audio=null")


def test_a_system_that_knows_no_conditioning_refuses_it() -> None:
    data = {"name": "t", "system": "toy", "start_with": "conditioned", "search": {"lambda.rgb": {"log": [0.1, 1]}}}
    with pytest.raises(SpecError, match="a field that toy can condition on"):
        make_space(data, subject="t")
