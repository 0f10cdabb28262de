"""The tables of the AdaFuse paper as rows that can be trained: configuration and the stage that gives the number.

Row names are those of ``published.yaml``. Rows of other authors' methods are there alone: they are quoted, not trained. At the
smallest preset one small network stands in for both ResNets, wider for the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainables.tables import Table, TableRow, by_name

Presets = Mapping[str, Mapping[str, Any]]
_R18: Presets = {"paper": {"network.backbone": "resnet18", "gates.hidden": 512}}
_R50: Presets = {"tiny": {"network.widths": [24, 48, 64, 96]}}
_NO_WIDTHS: Mapping[str, Any] = {"network.widths": []}  # which belong to the smallest preset's network
# Published are none in torchvision's form: without a file of weights, training starts from nothing.
_INCEPTION = {
    **_NO_WIDTHS,
    "network.backbone": "bn_inception",
    "network.weights": None,
    "gates.hidden": 128,  # with it the parameters are the published 14.5 M
    "gates.shared": False,
}
_SHIFT = {"network.shift": True}
_LAST = {**_SHIFT, "gates.blocks": "last", "gates.shared": False}


def _row(
    name: str,
    label: str,
    stage: str | None = None,
    against: str | None = None,
    presets: Presets | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> TableRow:
    return TableRow(
        name=name, label=label, stage=stage, against=against, presets=presets or {}, overrides=overrides or {}
    )


def _efficient(number: int) -> tuple[TableRow, TableRow]:
    overrides = {**_NO_WIDTHS, "network.backbone": f"efficientnet_b{number}"}
    label = f"EfficientNet-b{number}"
    return (
        _row(f"tsn_eff{number}", f"TSN, {label}", "plain", overrides=overrides),
        _row(f"adafuse_eff{number}", f"AdaFuse, {label}", against=f"tsn_eff{number}", overrides=overrides),
    )


def _hidden(weight: float, hidden: int) -> TableRow:
    name = f"lambda_{round(1000 * weight):03d}_hidden_{hidden}"
    # A small network's policies are a 32nd as wide; its price is a share, ResNet-50's up to 2.8 GFLOPs a frame.
    return _row(
        name,
        f"lambda {weight:g}, {hidden} hidden units",
        against=None if (weight, hidden) == (0.05, 1024) else "lambda_050_hidden_1024",
        presets={"paper": {"gates.hidden": hidden}, "tiny": {"gates.hidden": hidden // 32, "lambda": 10 * weight}},
        overrides={**_LAST, "lambda": weight},
    )


_TSN_R18 = _row("tsn_r18", "TSN, ResNet-18", "plain", presets=_R18)
_LSTM_R18 = _row("lstm_r18", "LSTM, ResNet-18", "lstm", "tsn_r18", _R18)
_RANDOM = _row("random", "random decisions, ResNet-18", "random", "tsn_r18", _R18)
_ADAFUSE_R18 = _row("adafuse_r18", "AdaFuse, ResNet-18", None, "tsn_r18", _R18)
_TSN_INC = _row("tsn_inc", "TSN, BN-Inception", "plain", overrides=_INCEPTION)
_TSN_R50 = _row("tsn_r50", "TSN, ResNet-50", "plain", presets=_R50)
_ADAFUSE_R50 = _row("adafuse_r50", "AdaFuse, ResNet-50", None, "tsn_r50", _R50)

TABLES = by_name(
    (
        Table(
            name="table1",
            title="AdaFuse and simple baselines",
            rows=(
                _TSN_R18,
                _TSN_INC,
                _row("cgnet", "CGNet, ResNet-18", "cgnet", "tsn_r18", _R18),
                _row("threshold", "threshold on norms, ResNet-18", "threshold", "tsn_r18", _R18),
                _RANDOM,
                _LSTM_R18,
                _ADAFUSE_R18,
                _row("adafuse_inc", "AdaFuse, BN-Inception", None, "tsn_inc", overrides=_INCEPTION),
            ),
            note="The paper does not say how CGNet was applied: here as in its release (docs/adafuse.md). BN-Inception begins "
            "without published weights; give a file in network.weights.",
        ),
        Table(
            name="table2",
            title="EfficientNets",
            rows=tuple(row for number in range(4) for row in _efficient(number)),
            note="The paper charges what EfficientNet's own paper prints at 224 to 300 pixels; here it is counted.",
        ),
        Table(
            name="table3",
            title="ResNet-18 and ResNet-50 on four data sets",
            rows=(
                _TSN_R18,
                _LSTM_R18,
                _ADAFUSE_R18,
                _TSN_R50,
                _row("lstm_r50", "LSTM, ResNet-50", "lstm", "tsn_r50", _R50),
                _ADAFUSE_R50,
            ),
        ),
        Table(
            name="table5",
            title="Beside the state of the art",
            rows=(
                _row("tsm", "TSM, ResNet-50", "plain", presets=_R50, overrides=_SHIFT),
                _row("adafuse_inc", "AdaFuse TSN, BN-Inception", None, "tsm", overrides=_INCEPTION),
                _row("adafuse_r50", "AdaFuse TSN, ResNet-50", None, "tsm", _R50),
                _row("adafuse_tsm", "AdaFuse TSM, ResNet-50", None, "tsm", _R50, _SHIFT),
                _row(
                    "adafuse_tsm_last",
                    "AdaFuse TSM+Last, ResNet-50",
                    None,
                    "tsm",
                    {"paper": {"gates.hidden": 1024, "lambda": 0.075}, **_R50},
                    _LAST,
                ),
            ),
        ),
        Table(
            name="table6",
            title="Which choices there are",
            rows=(
                _TSN_R18,
                _row("ada_skip", "skip or keep", "ada_skip", "tsn_r18", _R18),
                _row("ada_reuse", "reuse or keep", "ada_reuse", "tsn_r18", _R18),
                _RANDOM,
                _ADAFUSE_R18,
            ),
        ),
        Table(
            name="table7",
            title="Lambda and hidden units of the policies (TSM+Last, ResNet-50)",
            rows=tuple(_hidden(*each) for each in ((0.05, 1024), (0.075, 1024), (0.1, 1024), (0.1, 2048), (0.1, 4096))),
        ),
    )
)
