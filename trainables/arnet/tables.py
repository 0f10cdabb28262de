"""The tables of the AR-Net paper as rows that can be trained: configuration and the stage that gives the number.

Row names are those of ``published.yaml``. Rows of other authors' methods are there alone: they are quoted, not trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainables.arnet.stages import FIGURE_FRAMES, FRAMES
from trainables.tables import Table, TableRow, by_name

_UNIFORM = "uniform"
_EFFICIENTNETS = {"high": "efficientnet_b3", "medium": "efficientnet_b1", "low": "efficientnet_b0"}
_EFFICIENT: Mapping[str, Any] = {
    **{f"backbones.{level}.backbone": backbone for level, backbone in _EFFICIENTNETS.items()},
    **{f"backbones.{level}.widths": [] for level in _EFFICIENTNETS},  # belong to the smallest preset's nets
    "literature_costs": True,
}
_BASELINES = {_UNIFORM: "uniform", "lstm": "LSTM", "random": "random policy", "multi_scale": "multi-scale"}


def _arnet(name: str = "arnet", label: str = "AR-Net", against: str | None = _UNIFORM, **overrides: Any) -> TableRow:
    return TableRow(name=name, label=label, overrides=overrides, against=against)


def _baselines(names: tuple[str, ...], prefix: str = "", overrides: Mapping[str, Any] | None = None) -> list[TableRow]:
    of = ", EfficientNet" if prefix else ""
    return [
        TableRow(
            name=prefix + name,
            label=_BASELINES[name] + of,
            stage=name,
            overrides=overrides or {},
            against=None if name == _UNIFORM else prefix + _UNIFORM,
        )
        for name in names
    ]


def _efficient(against: str | None) -> TableRow:
    return TableRow(name="efficientnet_arnet", label="AR-Net, EfficientNet", overrides=_EFFICIENT, against=against)


TABLES = by_name(
    (
        Table(
            name="table1",
            title="AR-Net and simple baselines",
            note="EfficientNets cost, in the paper's convention, what their own paper quotes at other sizes.",
            rows=(
                *_baselines(tuple(_BASELINES)),
                _arnet(),
                *_baselines(tuple(_BASELINES), "efficientnet_", _EFFICIENT),
                _efficient("efficientnet_uniform"),
            ),
        ),
        Table(name="table3", title="Mini-Kinetics", rows=(_arnet(against=None), _efficient("arnet"))),
        Table(
            name="table4",
            title="What the policy chooses from",
            rows=(
                *_baselines((_UNIFORM, "lstm")),
                _arnet("resolutions", "resolutions only", actions="resolutions"),
                _arnet("skips", "skipping only", actions="skips"),
                _arnet(label="resolutions and skipping"),
            ),
            note="The paper adjusts the losses so that the three cost about the same, and does not print to what.",
        ),
        Table(
            name="table5",
            title="The losses",
            rows=(
                _arnet("acc", "accuracy alone", None, alpha=0.0, beta=0.0),
                _arnet("acc_eff", "and efficiency", "acc", beta=0.0),
                _arnet("arnet", "and uniform actions", "acc"),
            ),
        ),
        Table(
            name="table6",
            title="The stages of training",
            rows=(
                TableRow(name="joint", label="joint", overrides={"warm_up": False}, stage="joint", against="arnet"),
                TableRow(name="warmup_joint", label="warm-up, joint", stage="joint", against="arnet"),
                _arnet("arnet", "warm-up, joint, fine-tuning", None),
            ),
        ),
        Table(
            name="figure3",
            title="One model on other numbers of frames",
            rows=tuple(
                TableRow(
                    name=f"frames_{count}",
                    label=f"{count} frames",
                    stage=f"{FRAMES}{count}",
                    against=None if count == 16 else "frames_16",
                )
                for count in FIGURE_FRAMES
            ),
        ),
    )
)
