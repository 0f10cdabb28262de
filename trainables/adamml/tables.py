"""The tables and ablations of the AdaMML paper as rows that can be trained: configuration and the stage that gives the number.

Row names are those of ``published.yaml``. Rows of other authors' methods are there alone: they are quoted, not trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainables.tables import Table, TableRow, by_name

_RGB_AUDIO = {"data.modalities": ["rgb", "audio"]}
_RGB_FLOW = {"data.modalities": ["rgb", "flow"]}
_ALL_THREE = {"data.modalities": ["rgb", "flow", "audio"]}
# The authors' weights with three modalities; at the smallest size, where sound costs nearly as much, the preset's own fit.
_LAMBDA_OF_THREE = {"lambda.rgb": 0.5, "lambda.audio": 0.05, "lambda.flow": 0.8}
_PRICES_OF_THREE = {"paper": _LAMBDA_OF_THREE, "base": _LAMBDA_OF_THREE}
_STANDS_IN = {"policy.sees": {"flow": "rgbdiff"}}
_FUSION = "weighted_fusion"
_FUSIONS = (
    ("average_fusion", "average fusion"),
    ("class_wise_fusion", "class-wise weighted fusion"),
    ("max_fusion", "max fusion"),
    ("fc2_fusion", "FC2 fusion"),
    (_FUSION, "weighted fusion"),
)


@dataclass(frozen=True, kw_only=True)
class _Mix:
    """A third of Table 7: its modalities, and what its AdaMML row sets beyond them (by preset: ``prices``)."""

    name: str
    label: str
    modalities: Mapping[str, Any]
    stands_in: Mapping[str, Any] = field(default_factory=dict)
    prices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_MIXES = (
    _Mix(name="rgb_audio", label="RGB + Audio", modalities=_RGB_AUDIO),
    _Mix(name="rgb_flow", label="RGB + Flow", modalities=_RGB_FLOW, stands_in=_STANDS_IN),
    _Mix(
        name="rgb_flow_audio",
        label="RGB + Flow + Audio",
        modalities=_ALL_THREE,
        stands_in=_STANDS_IN,
        prices=_PRICES_OF_THREE,
    ),
)


def _alone(modality: str, label: str, against: str = _FUSION) -> TableRow:
    return TableRow(name=modality, label=label, stage=f"unimodal.{modality}", against=against)


def _fused() -> TableRow:
    return TableRow(name=_FUSION, label="weighted fusion", stage=_FUSION)


def _adamml(
    name: str = "adamml",
    label: str = "AdaMML",
    overrides: Mapping[str, Any] | None = None,
    against: str | None = _FUSION,
) -> TableRow:
    return TableRow(name=name, label=label, overrides=overrides or {}, against=against)


def _random_policies() -> tuple[TableRow, ...]:
    where = {"train": "random in training", "test": "random in test", "both": "random in both"}
    return tuple(
        TableRow(name=f"random_{name}", label=label, stage=f"random_{name}", against="adamml")
        for name, label in where.items()
    )


def _variant(name: str, label: str, overrides: Mapping[str, Any], against: str = "adamml") -> TableRow:
    return TableRow(name=name, label=label, overrides=overrides, against=against)


def _nets(rgb: str, audio: str) -> dict[str, Any]:
    """Recognition nets of Table 6, whatever the preset's own (``widths`` belongs to the smallest preset's nets)."""
    chosen = {"rgb": rgb, "audio": audio}
    return {
        f"recognition.{modality}.{field}": value
        for modality, backbone in chosen.items()
        for field, value in (("backbone", backbone), ("widths", []))
    }


def _table7() -> tuple[TableRow, ...]:
    rows = []
    for mix in _MIXES:
        fusion = f"{mix.name}_{_FUSION}"
        rows += [
            TableRow(
                name=f"{mix.name}_{name}",
                label=f"{mix.label}, {text}",
                overrides=mix.modalities,
                stage=name,
                against=None if name == _FUSION else fusion,
            )
            for name, text in _FUSIONS
        ]
        adaptive = {"overrides": {**mix.modalities, **mix.stands_in}, "presets": mix.prices, "against": fusion}
        rows.append(TableRow(name=f"{mix.name}_adamml", label=f"{mix.label}, AdaMML", **adaptive))
    return tuple(rows)


def _sensitivity() -> tuple[TableRow, ...]:
    """Each of the four knobs alone. gamma acts with soft correctness only: in Eq. 4 as printed it has no gradient."""
    rows = [_adamml(against=None)]
    values: dict[str, tuple[float, ...]] = {"lambda.rgb": (0.1, 0.3, 3), "lambda.audio": (0.01, 0.1, 1)}
    for path, several in values.items():
        rows += [_variant(_name(path, value), f"{path} {value:g}", {path: value}) for value in several]
    rows += [
        _variant(f"gamma_{value}", f"gamma {value}, soft", {"gamma": value, "correctness": "soft"})
        for value in (0, 2, 5, 10)
    ]
    # A temperature of 0 divides by 0: the floor of the annealing stands for it.
    initial = {"temperature_0": ("temperature 0 (0.01)", 0.01), "temperature_0_5": ("temperature 0.5", 0.5)}
    initial |= {"temperature_10": ("temperature 10", 10)}
    rows += [_variant(name, label, {"temperature.initial": value}) for name, (label, value) in initial.items()]
    decays = {"anneal_0": ("annealing 0", 0), "anneal_0_5": ("annealing 0.5", 0.5)}
    rows += [_variant(name, label, {"temperature.anneal.decay": value}) for name, (label, value) in decays.items()]
    return tuple(rows)


def _name(path: str, value: float) -> str:
    return f"{path}_{value:g}".replace(".", "_")


TABLES = by_name(
    (
        Table(
            name="table1",
            title="RGB + Audio",
            base=_RGB_AUDIO,
            note="The random policies' published figures are in Table 8.",
            rows=(_alone("rgb", "RGB"), _alone("audio", "Audio"), _fused(), _adamml(), *_random_policies()),
        ),
        Table(
            name="table2",
            title="RGB + Flow",
            base=_RGB_FLOW,
            rows=(
                _alone("rgb", "RGB"),
                _alone("flow", "Flow"),
                _fused(),
                _adamml("adamml_flow", "AdaMML-Flow"),
                _adamml("adamml_rgbdiff", "AdaMML-RGBDiff", _STANDS_IN),
            ),
        ),
        Table(
            name="table3",
            title="RGB + Flow + Audio",
            base=_ALL_THREE,
            presets=_PRICES_OF_THREE,
            rows=(
                _alone("rgb", "RGB"),
                _alone("flow", "Flow"),
                _alone("audio", "Audio"),
                _fused(),
                _adamml("adamml_flow", "AdaMML-Flow"),
                _adamml("adamml_rgbdiff", "AdaMML-RGBDiff", _STANDS_IN),
            ),
        ),
        Table(
            name="table4",
            title="Other methods on ActivityNet and FCVID, RGB + Audio",
            base=_RGB_AUDIO,
            rows=(
                _adamml(against=None),
                _variant("adamml_5_segments", "AdaMML, 5 test segments", {"data.segments.test": 5}),
            ),
        ),
        Table(
            name="table5",
            title="LiteEval on Kinetics-Sounds and Mini-Sports1M, RGB + Audio",
            base=_RGB_AUDIO,
            rows=(_adamml(against=None),),
        ),
        Table(
            name="table6",
            title="ListenToLook on ActivityNet, RGB + Audio",
            base=_RGB_AUDIO,
            note=(
                "The paper starts the unimodal nets from Kinetics-400 weights; here they start from the preset's. "
                "Give your own with -o rows.ROW.recognition.rgb.weights=FILE"
            ),
            rows=(
                TableRow(
                    name="resnet18", label="AdaMML, ResNet-18 and ResNet-18", overrides=_nets("resnet18", "resnet18")
                ),
                _variant(
                    "resnet50", "AdaMML, ResNet-50 and MobileNetV2", _nets("resnet50", "mobilenet_v2"), "resnet18"
                ),
                _variant(
                    "efficientnet",
                    "AdaMML, EfficientNet-b3 and -b0",
                    _nets("efficientnet_b3", "efficientnet_b0"),
                    "resnet18",
                ),
            ),
        ),
        Table(name="table7", title="Fusion strategies", base=_RGB_AUDIO, rows=_table7()),
        Table(
            name="table8",
            title="Random policies, RGB + Audio",
            base=_RGB_AUDIO,
            rows=(*_random_policies(), _adamml(against=None)),
        ),
        Table(
            name="table9",
            title="Flow against RGB differences",
            base={"data.modalities": ["rgb", "flow", "rgbdiff"]},
            rows=(
                _alone("rgb", "RGB", "weighted_fusion_flow"),
                _alone("flow", "Flow", "weighted_fusion_flow"),
                _alone("rgbdiff", "RGBDiff", "weighted_fusion_flow"),
                TableRow(
                    name="weighted_fusion_flow", label="weighted fusion, RGB + Flow", stage=_FUSION, overrides=_RGB_FLOW
                ),
                TableRow(
                    name="weighted_fusion_rgbdiff",
                    label="weighted fusion, RGB + RGBDiff",
                    stage=_FUSION,
                    overrides={"data.modalities": ["rgb", "rgbdiff"]},
                    against="weighted_fusion_flow",
                ),
            ),
        ),
        Table(
            name="loss",
            title="The efficiency loss, RGB + Audio",
            base=_RGB_AUDIO,
            rows=(
                _adamml(against=None),
                _variant("no_penalty", "no efficiency loss", {"penalty": "none"}),
                _variant("equal_lambda", "lambda 1 for both", {"lambda.rgb": 1.0, "lambda.audio": 1.0}),
            ),
        ),
        Table(
            name="lstm",
            title="The policy's LSTM, RGB + Audio",
            base=_RGB_AUDIO,
            rows=(_adamml(against=None), _variant("no_lstm", "no LSTM", {"policy.lstm": None})),
        ),
        Table(
            name="joint_decision",
            title="One decision for all modalities, RGB + Audio",
            base=_RGB_AUDIO,
            rows=(_adamml(against=None), _variant("joint", "one decision for both", {"policy.decision": "joint"})),
        ),
        Table(
            name="sensitivity",
            title="lambda, gamma, temperature and annealing, one at a time, RGB + Audio",
            base=_RGB_AUDIO,
            note=(
                "The paper varies gamma in the loss as printed, where it has no gradient; these rows use soft correctness, "
                "where it acts"
            ),
            rows=_sensitivity(),
        ),
    )
)
