"""Counted multiply-accumulates: the published costs of AdaMML's networks to the unit, and closed forms."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from trainables.kit.measure.macs import Macs, count_macs
from trainables.kit.nets.backbones import build_backbone
from trainables.kit.nets.names import BACKBONE_NAMES

FIRST_CONVOLUTION = 314_703_872  # ResNet-50 on 8 frames of 224 px, each input channel: 8 * 112^2 * 64 * 7^2

# name, input TCHW, temporal pools -> multiply-accumulates of the convolutions (AdaMML's paper and release)
PUBLISHED = {
    "rgb": ("resnet50", (8, 3, 224, 224), 14_135_984_128),
    "flow": ("resnet50", (8, 10, 224, 224), 16_338_911_232),
    "rgbdiff": ("resnet50", (8, 15, 224, 224), 17_912_430_592),
    "audio": ("mobilenet_v2", (1, 1, 256, 256), 381_739_008),
    "policy_rgb": ("mobilenet_v2", (4, 3, 160, 160), 375_446_400),
    "policy_rgbdiff_as_charged": ("mobilenet_v2", (4, 15, 224, 224), 909_283_200),
    "policy_rgbdiff_at_its_size": ("mobilenet_v2", (4, 15, 160, 160), 463_920_000),
    "policy_flow": ("mobilenet_v2", (4, 10, 160, 160), 427_056_000),
    "audio_resnet18": ("resnet18", (1, 1, 256, 256), 2_265_972_736),
}


def cost(name: str, shape: tuple[int, int, int, int], *, temporal_pool: bool = True) -> Macs:
    frames, channels, height, _ = shape
    with torch.device("meta"):
        net = build_backbone(name, channels, frames=frames, size=height, temporal_pool=temporal_pool).eval()
        x = torch.empty(1, *shape)
    return count_macs(net, lambda: net(x))


@pytest.mark.parametrize("row", PUBLISHED)
def test_a_network_costs_what_is_published_to_the_unit(row):
    name, shape, macs = PUBLISHED[row]
    assert cost(name, shape) == Macs(conv=macs, linear=0, lstm=0)


def test_each_input_channel_costs_one_first_convolution():
    assert FIRST_CONVOLUTION == 8 * 112**2 * 64 * 7**2
    three, four = (cost("resnet50", (8, channels, 224, 224)).conv for channels in (3, 4))
    assert four - three == FIRST_CONVOLUTION


@pytest.mark.parametrize(
    ("name", "temporal_pool", "gmacs"), [("resnet50", False, 32.70), ("resnet18", True, 7.5208)], ids=["50", "18"]
)
def test_resnets_cost_what_is_published_to_its_digits(name, temporal_pool, gmacs):
    decimals = 2 if name == "resnet50" else 4
    assert round(cost(name, (8, 3, 224, 224), temporal_pool=temporal_pool).conv / 1e9, decimals) == gmacs


def test_video_networks_cost_what_torchvision_states_with_their_attention():
    classifier = 768 * 400
    mvit = cost("mvit_v2_s", (16, 3, 224, 224))
    assert round((mvit.total + classifier) / 1e9, 3) == 64.224  # Kinetics-400 weights' meta["_ops"]
    assert mvit.linear > 10 * mvit.conv > 0  # hooks on modules would miss the products of the attention
    swin = cost("swin3d_t", (32, 3, 224, 224))
    assert swin.conv == 16 * 56 * 56 * 96 * 3 * 2 * 4 * 4


def test_the_table_in_the_docs_is_what_is_counted():
    page = (Path(__file__).resolve().parents[2] / "docs" / "backbones.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ([\d.]+) \|$", page, flags=re.MULTILINE))
    assert set(rows) == set(BACKBONE_NAMES) - {"small_conv"}
    for name, gmacs in rows.items():
        assert f"{cost(name, (8, 3, 224, 224)).total / 1e9:.2f}" == gmacs, name


# --- closed forms -----------------------------------------------------------------------------------------------------


def count(module: nn.Module, x: torch.Tensor) -> Macs:
    on_meta, x = module.to("meta"), x.to("meta")
    return count_macs(on_meta, lambda: on_meta(x))


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (nn.Conv1d(4, 6, 3), (2, 4, 10), 2 * 6 * 8 * 4 * 3),
        (nn.Conv2d(4, 6, (3, 1), stride=2, groups=2, bias=False), (2, 4, 9, 9), 2 * 6 * 4 * 5 * 2 * 3),
        (nn.Conv3d(3, 5, (3, 2, 2), padding=(1, 0, 0)), (1, 3, 4, 5, 5), 5 * 4 * 4 * 4 * 3 * 3 * 2 * 2),
    ],
)
def test_a_convolution_costs_output_times_input_channels_times_kernel(layer, shape, macs):
    assert count(layer, torch.empty(shape)) == Macs(conv=macs, linear=0, lstm=0)


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_costs_output_times_input_features_for_any_leading_axes(bias):
    layer = nn.Linear(5, 7, bias=bias)
    assert count(layer, torch.empty(2, 3, 5)).linear == 2 * 3 * 7 * 5
    assert count(layer, torch.empty(2, 5, 3).transpose(1, 2)).linear == 2 * 3 * 7 * 5
    assert count(layer, torch.empty(5)).linear == 7 * 5


def test_an_lstm_cell_in_a_loop_costs_four_gates_a_row_and_step_apart_from_linear_layers():
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.LSTMCell(5, 7), nn.Linear(7, 2)

        def forward(self, x_NSD: torch.Tensor) -> torch.Tensor:
            state = None
            for x in x_NSD.unbind(1):
                state = self.cell(x, state)
            return self.head(state[0])

    assert count(Recurrent(), torch.empty(3, 4, 5)) == Macs(conv=0, linear=3 * 7 * 2, lstm=4 * 3 * 4 * 7 * (5 + 7))
    assert count(nn.LSTM(5, 7), torch.empty(4, 3, 5)).lstm == 4 * 3 * 4 * 7 * (5 + 7)


@pytest.mark.parametrize(
    "attend",
    [
        lambda q, k, v: (q @ k.transpose(-1, -2)).softmax(-1) @ v,
        F.scaled_dot_product_attention,
        lambda q, k, v: torch.einsum("bhqk,bhkd->bhqd", torch.einsum("bhqd,bhkd->bhqk", q, k).softmax(-1), v),
    ],
    ids=["matmul", "sdpa", "einsum"],
)
def test_attention_written_as_a_function_costs_both_products(attend):
    q, k, v = (torch.empty(2, 4, length, 16, device="meta") for length in (10, 12, 12))
    macs = count_macs(nn.Identity(), lambda: attend(q, k, v))
    assert macs == Macs(conv=0, linear=2 * (2 * 4 * 10 * 12 * 16), lstm=0)


def test_a_matrix_times_a_vector_counts():
    matrix, vector = torch.empty(3, 4, device="meta"), torch.empty(4, device="meta")
    assert count_macs(nn.Identity(), lambda: matrix @ vector).linear == 3 * 4
    assert count_macs(nn.Identity(), lambda: vector @ vector).linear == 4


def test_counting_leaves_no_hook_behind():
    cell = nn.LSTMCell(2, 3)
    count(cell, torch.empty(1, 2))
    assert not cell._forward_hooks
    assert not cell._forward_pre_hooks


def test_nothing_chosen_costs_nothing():
    net = build_backbone("small_conv", 3, frames=1, size=32, widths=(4,))
    assert count_macs(net, lambda: net(torch.empty(0, 1, 3, 32, 32))).total == 0
