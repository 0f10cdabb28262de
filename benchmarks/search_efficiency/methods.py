"""Every method by name: a competitor, alone or with what this program adds to it; this program, whole or with a part left out."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.search_efficiency.askers import by_botorch, by_pymoo, by_syne_tune, raw_optuna, study
from benchmarks.search_efficiency.askers.random import Random
from benchmarks.search_efficiency.problem import Problem
from benchmarks.search_efficiency.roles import Method

OURS, PLAIN = "ours", "tune_optuna"
HALVING = "ours+early_stopping"
INSTALL = "pip install -c constraints.txt -e '.[bench]'"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """``needs``: a package of the extra ``bench``; ``stops``: it needs a problem whose trials can be halted."""

    method: Method
    needs: str | None = None
    stops: bool = False


# tune_optuna: what ray.tune.Tuner with OptunaSearch does: each trial trained from its first stage to its end, one point a trial.
PEERS: Mapping[str, Peer] = {
    "random": Peer(method=Method(asker=Random)),
    PLAIN: Peer(method=Method(asker=raw_optuna.tpe)),
    "optuna_nsga2": Peer(method=Method(asker=raw_optuna.nsga2)),
    "optuna_gp": Peer(method=Method(asker=raw_optuna.gp)),
    "botorch_qlognehvi": Peer(method=Method(asker=by_botorch.QLogNEHVI), needs="botorch"),
    "pymoo_nsga2": Peer(method=Method(asker=by_pymoo.PymooNSGA2), needs="pymoo"),
    "syne_tune_moasha": Peer(
        method=Method(asker=by_syne_tune.MoAsha, stopping=by_syne_tune.itself, partial=True),
        needs="syne_tune",
        stops=True,
    ),
}
_WHOLE = Method(asker=study.conditioned, shared=True, thresholds=True, epochs=True)
OWN: Mapping[str, Peer] = {
    OURS: Peer(method=_WHOLE),
    HALVING: Peer(method=replace(_WHOLE, stopping=study.halving), stops=True),
    "ours+gp": Peer(method=replace(_WHOLE, asker=study.by_gp)),
    "ours-conditioned": Peer(method=replace(_WHOLE, asker=study.independent)),
    "ours-epochs": Peer(method=replace(_WHOLE, epochs=False)),
    "ours-thresholds": Peer(method=replace(_WHOLE, thresholds=False)),
    "ours-sharing": Peer(method=replace(_WHOLE, shared=False)),
}
SHARING = (PLAIN, "syne_tune_moasha")  # shown with it; who trains every trial to its end gains by it what PLAIN does
GIVEN = ("", "+thresholds", "+sharing", "+thresholds+sharing")  # to a competitor


def names(problem: Problem, *, given: tuple[str, ...]) -> list[str]:
    """All methods that make sense on a problem, whether their packages are installed or not."""
    halting = bool(problem.rungs)
    peers = [
        f"{name}{more}"
        for more in given
        for name, peer in PEERS.items()
        if (halting or not peer.stops) and ("sharing" not in more or name in SHARING)
    ]
    if given == ("",):  # a test function: no thresholds, nothing shared
        return [*peers, OURS, "ours+gp", *([HALVING] if halting else [])]
    own = [name for name in OWN if name != "ours-conditioned" or problem.conditioning is not None]
    return [*peers, *own]


def missing(name: str) -> str | None:
    """The package that a method lacks here."""
    needs = _peer(name).needs
    return needs if needs is not None and importlib.util.find_spec(needs) is None else None


def method(name: str, problem: Problem) -> Method:
    """The method of this name. Raises ``KeyError``."""
    if name in OWN:
        return OWN[name].method
    base, *given = name.split("+")
    thresholds = "thresholds" in given
    return replace(
        PEERS[base].method,
        thresholds=thresholds,
        shared="sharing" in given,
        epochs=thresholds and problem.epochs_for_competitors,
    )


def known(name: str) -> bool:
    base = name.split("+")[0]
    return name in OWN or (base in PEERS and name[len(base) :] in GIVEN)


def _peer(name: str) -> Peer:
    return OWN[name] if name in OWN else PEERS[name.split("+")[0]]
