"""The public Python API: what a notebook uses. Every verb of the command line is one call to it.

Importing this module imports neither torch nor Ray nor MLflow; what needs them imports them when it is called.
"""

from __future__ import annotations

# (sweep)
# --- browse -----------------------------------------------------------------------------------------------------------
from explorer.browse import Front, FrontPoint, Reference

# --- pick -------------------------------------------------------------------------------------------------------------
from explorer.picks import Picked, pick
from explorer.predict import PickedModel, VideoPrediction, load_model, predict

# --- submit -----------------------------------------------------------------------------------------------------------
from explorer.spec import load_space
from explorer.train import Trained, train

__all__ = [
    "Front",
    "FrontPoint",
    "Picked",
    "PickedModel",
    "Reference",
    "Trained",
    "VideoPrediction",
    "load_model",
    "load_space",
    "pick",
    "predict",
    "train",
]
