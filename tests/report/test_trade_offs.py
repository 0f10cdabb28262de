"""What is said of a front in MLflow's description: one sentence each, true of the points that they name."""

import re

from explorer.browse import Front
from explorer.report.trade_offs import sentences
from tests.report.planted import planted_sweep


def test_the_most_accurate_point_comes_first_and_every_named_point_is_on_the_front(planted):
    said = sentences(planted)
    best = max(planted.points, key=lambda p: p.val.accuracy)
    assert said[0].startswith("The most accurate point") and best.point_id in said[0]
    named = {name for sentence in said for name in re.findall(r"`([^`]+)`", sentence)}
    assert named <= {p.point_id for p in planted.points}
    assert len(said) == len(set(said))


def test_a_baseline_is_compared_with_the_cheapest_point_that_is_at_least_as_accurate(planted):
    for baseline in planted.baselines:
        as_good = [
            p
            for p in planted.points
            if p.val.accuracy >= baseline.val.accuracy and 0 < p.val.gflops["full"] < baseline.val.gflops["full"]
        ]
        said = [s for s in sentences(planted) if s.startswith(f"The baseline {baseline.name} ")]
        assert len(said) == bool(as_good)
        if as_good:
            assert as_good[0].point_id in said[0]
            times = baseline.val.gflops["full"] / as_good[0].val.gflops["full"]
            assert f"needs {times:.1f} times less" in said[0]


def test_nothing_is_said_of_an_empty_front(tmp_path):
    record = planted_sweep(tmp_path)
    empty = Front.of(type(record)(folder=record.folder, name="empty", system=record.system, trials=()))
    assert sentences(empty) == []
