"""The public Python API: what a notebook uses. Every verb of the command line is one call to it.

    submit    init, load_space, smoke, sweep, train; of several systems with one budget: load_any, sweep_portfolio
    browse    Front, serve (MLflow on loopback)
    pick      pick, load_model, predict, evaluate, export
    know      headroom, plan_reproduction, reproduce

Importing this module imports neither torch nor Ray nor MLflow; what needs them imports them when it is called.
"""

from __future__ import annotations

from explorer.browse import Front, FrontPoint, Reference
from explorer.evaluate import Evaluation, evaluate
from explorer.export import Exported, export
from explorer.headroom import Headroom, headroom
from explorer.init import Begun, init
from explorer.picks import Picked, pick
from explorer.predict import PickedModel, VideoPrediction, load_model, predict
from explorer.reproduce import Reproduced, Reproduction, plan_reproduction, reproduce
from explorer.smoke import Smoked, smoke
from explorer.spec import SearchSpace, load_space
from explorer.spec.load_portfolio import load_any
from explorer.spec.portfolio import Portfolio
from explorer.submit import sweep, sweep_portfolio
from explorer.tracking.server import serve
from explorer.train import Trained, train

__all__ = [
    "Begun",
    "Evaluation",
    "Exported",
    "Front",
    "FrontPoint",
    "Headroom",
    "Picked",
    "PickedModel",
    "Portfolio",
    "Reference",
    "Reproduced",
    "Reproduction",
    "SearchSpace",
    "Smoked",
    "Trained",
    "VideoPrediction",
    "evaluate",
    "export",
    "headroom",
    "init",
    "load_any",
    "load_model",
    "load_space",
    "pick",
    "plan_reproduction",
    "predict",
    "reproduce",
    "serve",
    "smoke",
    "sweep",
    "sweep_portfolio",
    "train",
]
