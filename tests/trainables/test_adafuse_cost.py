"""Golden figures of the AdaFuse paper: what it prints, and what its networks give in its convention."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.trainables.adafuse_parts import adafuse_config
from trainables.adafuse.cost import cost_table, lstm_macs
from trainables.adafuse.loss import price
from trainables.adafuse.model import AdaFuse, everything
from trainables.adafuse.names import share_names
from trainables.adafuse.published import published_rows
from trainables.arnet.cost import LITERATURE_GFLOPS

SOMETHING, JESTER = 174, 27
R18 = {"network": {"backbone": "resnet18"}, "gates": {"hidden": 512}}
INCEPTION = {"network": {"backbone": "bn_inception", "weights": None}, "gates": {"hidden": 128, "shared": False}}


def paper(changes: dict[str, Any] | None = None):
    return adafuse_config(changes, preset="paper")


def last(hidden: int) -> dict[str, Any]:
    return {"network": {"shift": True}, "gates": {"blocks": "last", "shared": False, "hidden": hidden}}


def parameters_m(config, classes: int, *parts: str) -> float:
    with torch.device("meta"):
        model = AdaFuse(config, classes)
    return sum(p.numel() for name, p in model.named_parameters() if name.split(".")[0] in parts) / 1e6


@pytest.mark.parametrize(
    ("changes", "thop", "macs"),
    [({}, 32.88, 32.70), (R18, 14.55, 14.51), (INCEPTION, 16.35, 16.25)],
    ids=["resnet50", "resnet18", "bn_inception"],
)
def test_plain_networks_cost_the_published_gflops_a_video(changes, thop, macs):
    table = cost_table(paper(changes), SOMETHING)
    assert table.all_on_gmacs("paper") == pytest.approx(thop, abs=5e-3)
    assert table.all_on_gmacs("full") == pytest.approx(macs, abs=5e-3)


@pytest.mark.parametrize(
    ("changes", "classes", "parts", "millions"),
    [
        ({}, JESTER, ("backbone", "head"), 23.563),
        (R18, JESTER, ("backbone", "head"), 11.190),
        (INCEPTION, SOMETHING, ("backbone", "head"), 10.45),
        (INCEPTION, SOMETHING, ("backbone", "head", "policy"), 14.50),
        ({}, SOMETHING, ("backbone", "head", "policy"), 37.69),
        ({}, 200, ("backbone", "head", "policy"), 37.74),
        (R18, SOMETHING, ("backbone", "head", "policy"), 15.58),
        (last(1024), SOMETHING, ("backbone", "head", "policy"), 39.08),
        (last(2048), SOMETHING, ("backbone", "head", "policy"), 54.30),
        (last(4096), SOMETHING, ("backbone", "head", "policy"), 84.72),
        ({}, SOMETHING, ("backbone", "lstm"), 28.84),
    ],
)
def test_parameters_are_the_published_millions(changes, classes, parts, millions):
    assert parameters_m(paper(changes), classes, *parts) == pytest.approx(millions, abs=6e-3)


def test_resnet50_gates_3776_channels_a_frame_and_policies_cost_a_hundredth():
    config = paper()
    with torch.device("meta"):
        model = AdaFuse(config, SOMETHING)
    assert sum(point.channels for point in model.points) == 3776
    assert cost_table(config, SOMETHING).always_macs["full"] / 1e9 == pytest.approx(0.031, abs=5e-4)


def test_everything_skipped_leaves_10_8_gflops_and_tsm_last_begins_at_33_00():
    table = cost_table(paper(), SOMETHING)
    assert table.at_rates_gmacs("paper", dict.fromkeys(table.all_on_rates, 0.0)) == pytest.approx(10.8, abs=0.05)
    table = cost_table(paper(last(1024)), SOMETHING)
    assert table.at_rates_gmacs("paper", table.all_on_rates) == pytest.approx(33.00, abs=5e-3)


def test_convolutions_next_to_a_gate_are_what_a_skipped_network_lacks():
    """Counted independently: the network with the two convolutions of every block taken out."""
    config = paper(R18)
    table = cost_table(config, SOMETHING)
    gated = sum(table.per_segment_macs["full"][name] * rate for name, rate in table.all_on_rates.items())
    with torch.device("meta"):
        model = AdaFuse(config, SOMETHING).eval()
        seen: list[int] = []
        for point in model.points:
            for conv in (*point.before, *point.after):
                conv.register_forward_hook(
                    lambda conv, x, y: seen.append(y.numel() * conv.in_channels * conv.kernel_size[0] ** 2)
                )
        model.backbone(torch.empty(1, 1, 3, 224, 224))
    assert gated == sum(seen)
    assert len(seen) == 16


@pytest.mark.parametrize(
    ("saving", "computed", "expected"), [("real", 1.0, "both"), ("upb", 1.0, "second"), ("upb", 0.0, "second")]
)
def test_the_price_is_of_both_convolutions_or_of_the_second_alone(saving, computed, expected):
    config = adafuse_config({"saving": saving})
    with torch.device("meta"):
        model = AdaFuse(config, 6)
    usage = everything(model, torch.zeros(2, 3))
    usage = {
        name: type(one)(computed_BT=one.computed_BT * computed, kept_BT=one.kept_BT, reused_BT=one.reused_BT)
        for name, one in usage.items()
    }
    table = cost_table(config, 6)
    macs = table.per_segment_macs["paper"]
    second = sum(macs[share_names(name)[1]] for name in usage)
    first = sum(macs[share_names(name)[0]] for name in usage)
    wanted = (first + second if expected == "both" else second) * table.segments / table.all_on_gmacs("paper") / 1e9
    assert float(price(config, usage, 6)) == pytest.approx(wanted)


def test_the_smallest_preset_has_policies_that_are_light_beside_the_network():
    table = cost_table(adafuse_config(), 6)
    assert table.always_macs["full"] * table.segments / 1e9 < 0.03 * table.all_on_gmacs("full")


@pytest.mark.parametrize(
    "row",
    [row for row in published_rows() if row.computed_gflops is not None],
    ids=lambda row: f"{row.table} {row.data_set} {row.method}",
)
def test_printed_gflops_that_can_be_computed_again_are_what_the_networks_give(row):
    if "EfficientNet" in row.method:
        found = 8 * LITERATURE_GFLOPS[f"efficientnet_b{row.row[-1]}"]
    else:
        changes = R18 if row.table == "table6" or "18" in row.method else INCEPTION if "Inception" in row.method else {}
        found = cost_table(paper(changes), SOMETHING).all_on_gmacs("paper")
        if row.method.startswith("LSTM"):
            found += lstm_macs(paper(changes), SOMETHING)["paper"] * 8 / 1e9
    assert found == pytest.approx(row.computed_gflops, abs=1e-3)
    assert row.verifiable is (abs(found - row.gflops) <= 0.052)  # printed to one decimal, 8 x a frame's 1.82


def test_efficientnets_cost_half_of_what_is_printed_when_counted():
    config = paper({"network": {"backbone": "efficientnet_b3", "weights": None}})
    assert cost_table(config, SOMETHING).all_on_gmacs("paper") == pytest.approx(7.94, abs=5e-3)
    with torch.device("meta"):
        gates = AdaFuse(config, SOMETHING).points
    assert len(gates) == 24
    assert all(isinstance(conv, nn.Conv2d) and conv.groups == conv.in_channels for g in gates for conv in g.after)
