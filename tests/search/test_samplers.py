from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import qmc

from explorer.search.known import Known
from explorer.search.samplers import SAMPLERS, load_sampler
from explorer.spec.dimension import Dimension, Uniform
from tests.search.spaces import DIMENSIONS, book, measured


def known(number: int, *, seed: int = 3, attempt: int = 0, search: dict[str, Dimension] | None = None) -> Known:
    return Known(
        search=search or DIMENSIONS,
        directions=("maximize", "minimize"),
        trials=(),
        seed=seed,
        number=number,
        attempt=attempt,
    )


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_proposes_inside_the_space_and_the_same_for_the_same_draw(name: str) -> None:
    propose = load_sampler(name)
    for number in range(6):
        params = propose(known(number)).params
        assert set(params) == set(DIMENSIONS)
        assert all(DIMENSIONS[path].nearest(value) == value for path, value in params.items())
        assert propose(known(number)).params == params


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("other", [known(1), known(0, seed=4), known(0, attempt=1)], ids=["number", "seed", "attempt"])
def test_another_draw_gives_another_point(name: str, other: Known) -> None:
    propose = load_sampler(name)
    assert propose(other).params != propose(known(0)).params


def test_qmc_fills_the_square_more_evenly_than_random_points_do() -> None:
    square: dict[str, Dimension] = {"x": Uniform(0, 1), "y": Uniform(0, 1)}

    def unevenness(name: str) -> float:
        propose = load_sampler(name)
        points = [list(propose(known(n, search=square)).params.values()) for n in range(64)]
        return float(qmc.discrepancy(np.array(points)))

    assert unevenness("qmc") < unevenness("random") / 5


@pytest.mark.parametrize("name", ["tpe", "nsga2"])
def test_a_model_finds_a_better_middle_of_the_front_than_random(tmp_path: Path, name: str) -> None:
    """Two objectives pull x to opposite ends; every other dimension only costs. The best points have y near 0."""
    square: dict[str, Dimension] = {"x": Uniform(0, 1), "y": Uniform(0, 1)}

    def mean_waste(sampler: str) -> float:
        (tmp_path / sampler).mkdir()
        study = book(tmp_path / sampler, trials=60, search=square, sampler=sampler)
        waste = []
        while (asked := study.ask()) is not None:
            x, y = float(asked.params["x"] or 0), float(asked.params["y"] or 0)
            waste.append(y)
            study.tell(asked.number, {"accuracy": x - y, "gflops": x + y})
        return float(np.mean(waste[30:]))

    assert mean_waste(name) < 0.7 * mean_waste("random")


def test_gp_uses_what_it_is_told_without_warnings(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = book(tmp_path, trials=12, search={"price.rgb": DIMENSIONS["price.rgb"]}, sampler="gp")
        while (asked := study.ask()) is not None:
            study.tell(asked.number, measured(asked.params))
    assert study.counts()["COMPLETE"] == 12


def test_a_grid_takes_all_ends_and_middles_once_then_what_is_between() -> None:
    square: dict[str, Dimension] = {"x": Uniform(0, 1), "y": Uniform(0, 1)}
    propose = load_sampler("grid")
    points = [tuple(propose(known(n, search=square)).params.values()) for n in range(25)]
    assert set(points[:9]) == {(x, y) for x in (0, 0.5, 1) for y in (0, 0.5, 1)}
    assert set(points) == {(x / 4, y / 4) for x in range(5) for y in range(5)}


def test_a_grid_gives_a_point_that_was_queued_before_way_to_the_place_that_it_took(tmp_path: Path) -> None:
    square: dict[str, Dimension] = {"x": Uniform(0, 1), "y": Uniform(0, 1)}
    centre = {"x": 0.5, "y": 0.5}
    study = book(tmp_path, trials=9, search=square, sampler="grid", first_points=[centre])
    points = []
    while (asked := study.ask()) is not None:
        points.append(tuple(asked.params.values()))
        study.tell(asked.number, {"accuracy": 0.5, "gflops": 1.0})
    assert sorted(points) == sorted({(x, y) for x in (0, 0.5, 1) for y in (0, 0.5, 1)})
