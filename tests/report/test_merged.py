"""One front of several sweeps, and a pick among them."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from explorer.api import Front, pick
from explorer.errors import NotFound, UserError
from explorer.merged import merged_front
from explorer.spec import SearchSpace
from tests.report.planted import planted_sweep
from tests.report.real_sweep import train_real_sweep


def planted(folder: Path, *, name: str, system: str = "adamml", data: str = "", trials: int = 3) -> Front:
    record = planted_sweep(folder, name=name, trials=trials)
    stages = {key: dataclasses.replace(stage, data_fingerprint=data) for key, stage in record.stages.items()}
    return Front.of(dataclasses.replace(record, system=system, stages=stages))


def test_merged_front_holds_what_no_point_of_any_sweep_dominates_with_its_sweep_and_system(tmp_path: Path) -> None:
    few = planted(tmp_path / "a", name="few", trials=2)
    many = planted(tmp_path / "b", name="many", system="arnet", trials=6)
    found = merged_front([few, many])
    everything = [*few.points, *many.points]
    assert found
    for one in found:
        assert not any(
            other.val.accuracy >= one.val.accuracy and other.val.gflops["full"] < one.val.gflops["full"]
            for other in everything
        )
    told = [one.to_json() for one in found]
    assert {(point["sweep"], point["system"]) for point in told} <= {("few", "adamml"), ("many", "arnet")}
    assert ("many", "arnet") in {(point["sweep"], point["system"]) for point in told}
    costs = [point["gflops"] for point in told]
    assert costs == sorted(costs)


def test_sweeps_of_other_videos_or_in_a_papers_convention_have_no_front_together(tmp_path: Path) -> None:
    one = planted(tmp_path / "a", name="one", data="these")
    other = planted(tmp_path / "b", name="other", system="arnet", data="those")
    with pytest.raises(UserError, match="one, other were not all measured on the same"):
        merged_front([one, other])
    in_paper = [dataclasses.replace(front, convention="paper") for front in (one, other)]
    with pytest.raises(UserError, match=r"(?s)full convention only.*same videos only"):
        merged_front(in_paper)
    assert merged_front([one, planted(tmp_path / "c", name="third", system="arnet", data="these")])


@pytest.fixture
def two(real_space: SearchSpace, tmp_path: Path) -> list[Front]:
    """A copy of the real sweep, and a smaller one of another name beside it."""
    shutil.copytree(real_space.storage, tmp_path / "runs", ignore=shutil.ignore_patterns("picks"))
    small = train_real_sweep(tmp_path / "runs", name="small", seed=1, budget={"trials": 1}, baselines=[])
    return [Front.load(tmp_path / "runs" / real_space.name), Front.load(small.folder)]


def test_pick_among_several_sweeps_is_the_best_of_all_and_lies_with_its_sweep(two: list[Front]) -> None:
    best = max((p for front in two for p in front.points), key=lambda p: (p.val.accuracy, -p.val.gflops["full"]))
    picked = pick(two, max_gflops=100)
    assert picked.point.val.accuracy == best.val.accuracy
    assert picked.folder == picked.front.folder / "picks" / "budget-100gflops" and picked.folder.is_dir()

    of_second = two[1].points[0]
    assert pick(two, point_id=of_second.point_id).front.name == "small"
    with pytest.raises(NotFound, match=r"none of the sweeps toy-sweep, small has a point 'joint-e9-ffffff'"):
        pick(two, point_id="joint-e9-ffffff")
