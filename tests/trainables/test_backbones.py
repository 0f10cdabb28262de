"""Conformance of every backbone: shapes, gradients, empty batches, other channels, temporal pools."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from trainables.errors import UserError
from trainables.kit.nets.backbones import BACKBONES, build_backbone
from trainables.kit.nets.backbones.frames import BatchNorm2d, temporal_max_pool
from trainables.kit.nets.names import BACKBONE_NAMES, VIDEO_BACKBONE_NAMES

SIZE = 32
FRAMES = 4
WIDTHS = (4, 6)
DIM = {
    "resnet18": 512,
    "resnet34": 512,
    "resnet50": 2048,
    "mobilenet_v2": 1280,
    "efficientnet_b0": 1280,
    "efficientnet_b1": 1280,
    "efficientnet_b3": 1536,
    "small_conv": 6,
    "mvit_v2_s": 768,
    "swin3d_t": 768,
}
LEFT_OF_8 = dict.fromkeys(BACKBONE_NAMES, 1) | {"mobilenet_v2": 2, "small_conv": 8}
FRAME_NETS = tuple(name for name in BACKBONE_NAMES if name not in VIDEO_BACKBONE_NAMES)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def build(name: str, in_channels: int = 3, **kwargs):
    return build_backbone(name, in_channels, frames=FRAMES, size=SIZE, widths=WIDTHS, **kwargs)


def first_convolution(net: nn.Module) -> nn.Module:
    return next(m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Conv3d))


# --- every backbone ---------------------------------------------------------------------------------------------------


def test_the_names_are_those_of_the_dict_and_need_no_torch():
    assert tuple(BACKBONES) == BACKBONE_NAMES
    code = "import sys, trainables.kit.nets.names; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("name", BACKBONE_NAMES)
def test_a_clip_gives_a_feature_of_dim_and_every_parameter_learns(name):
    net = build(name)
    feature = net(torch.randn(2, FRAMES, 3, SIZE, SIZE))
    assert feature.shape == (2, net.frames_left(FRAMES), DIM[name])
    assert net.dim == DIM[name]
    (feature * torch.randn(DIM[name])).sum().backward()
    for parameter_name, parameter in net.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", BACKBONE_NAMES)
def test_an_empty_batch_gives_no_features_gradients_of_zero_and_leaves_statistics_alone(name, train):
    net = build(name).train(train)
    before = {key: buffer.clone() for key, buffer in net.named_buffers()}
    feature = net(torch.empty(0, FRAMES, 3, SIZE, SIZE))
    assert feature.shape == (0, net.frames_left(FRAMES), DIM[name])
    feature.sum().backward()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in net.parameters())
    assert all(torch.equal(before[key], buffer) for key, buffer in net.named_buffers())


@pytest.mark.parametrize("name", FRAME_NETS)
def test_the_layers_of_a_frame_net_take_an_empty_batch_as_synchronised_batch_norm_needs(name):
    net = build(name)
    feature = net.features(torch.empty(0, FRAMES, 3, SIZE, SIZE))
    assert feature.shape == (0, net.frames_left(FRAMES), DIM[name])
    feature.sum().backward()


@pytest.mark.parametrize("name", BACKBONE_NAMES)
def test_bfloat16_autocast_gives_finite_features_and_gradients_also_beside_an_empty_batch(name):
    net = build(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        feature, nothing = net(torch.randn(2, FRAMES, 3, SIZE, SIZE)), net(torch.empty(0, FRAMES, 3, SIZE, SIZE))
    (feature.float().sum() + nothing.float().sum()).backward()
    assert torch.isfinite(feature).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters())


def test_an_empty_batch_passes_a_frozen_network_and_a_forward_without_gradients():
    net = build("small_conv").requires_grad_(False)
    assert not net(torch.empty(0, 1, 3, SIZE, SIZE)).requires_grad
    with torch.no_grad():
        assert build("small_conv")(torch.empty(0, 1, 3, SIZE, SIZE)).shape == (0, 1, 6)


@pytest.mark.parametrize("name", [name for name in BACKBONE_NAMES if BACKBONES[name].layout is not None])
def test_the_first_convolution_for_other_channels_repeats_the_mean_of_the_rgb_filters(name):
    torch.manual_seed(7)
    rgb = first_convolution(build(name, 3))
    torch.manual_seed(7)
    other = first_convolution(build(name, 5))
    mean = rgb.weight.mean(1, keepdim=True)
    assert torch.equal(other.weight, mean.expand(-1, 5, *mean.shape[2:]))
    assert (rgb.bias is None and other.bias is None) or torch.equal(rgb.bias, other.bias)


@pytest.mark.parametrize("name", BACKBONE_NAMES)
def test_two_passes_in_train_mode_draw_nothing_at_random(name):
    net = build(name)
    x = torch.randn(2, FRAMES, 3, SIZE, SIZE)
    torch.manual_seed(1)
    first = net(x)
    torch.manual_seed(2)
    assert torch.equal(first, net(x))


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FRAME_NETS)
def test_a_clip_of_equal_frames_gives_the_feature_of_the_still(name):
    net = build(name).double().eval()
    with torch.no_grad():
        still = torch.randn(1, 1, 3, SIZE, SIZE, dtype=torch.float64)
        feature = net(still.expand(-1, 8, -1, -1, -1))
        assert feature.shape[1] == net.frames_left(8) == LEFT_OF_8[name]
        torch.testing.assert_close(feature, net(still).expand_as(feature))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "efficientnet_b0"])
def test_without_temporal_pools_every_frame_has_its_own_feature(name):
    net = build(name, temporal_pool=False).double().eval()
    with torch.no_grad():
        clip = torch.randn(1, 3, 3, SIZE, SIZE, dtype=torch.float64)
        frames = torch.cat([net(clip[:, t : t + 1]) for t in range(3)], 1)
        torch.testing.assert_close(net(clip), frames)


@pytest.mark.parametrize("frames", [2, 3, 7, 8])
def test_temporal_max_pool_of_a_ramp_is_the_frame_after_each_second_one(frames):
    clips = 2
    ramp = torch.arange(frames, dtype=torch.float32).repeat(clips)[:, None, None, None].expand(-1, 3, 2, 4)
    pooled = temporal_max_pool(ramp.contiguous(memory_format=torch.channels_last), frames)
    expected = torch.arange(1, frames + 1, 2).clamp(max=frames - 1).float()
    assert torch.equal(pooled, expected.repeat(clips)[:, None, None, None].expand_as(pooled))


def test_temporal_max_pool_keeps_clips_places_and_channels_apart():
    x = torch.randn(3 * 5, 4, 2, 3)
    clips = x.view(3, 5, 4, 2, 3)
    windows = ((0, 2), (1, 4), (3, 5))
    expected = torch.stack([clips[:, a:b].amax(1) for a, b in windows], 1).flatten(0, 1)
    assert torch.equal(temporal_max_pool(x, 5), expected)


def test_video_networks_take_any_clip_length_and_size():
    with torch.device("meta"):
        for name in VIDEO_BACKBONE_NAMES:
            for frames, size in ((1, 32), (3, 100)):
                net = build_backbone(name, 3, frames=frames, size=size)
                assert net(torch.empty(1, frames, 3, size, size)).shape == (1, 1, 768)


# --- one place --------------------------------------------------------------------------------------------------------


def test_batch_norm_of_a_single_value_uses_the_running_statistics_and_leaves_them():
    norm = BatchNorm2d(3)
    norm(torch.randn(4, 3, 2, 2))
    before = {key: buffer.clone() for key, buffer in norm.named_buffers()}
    x = torch.randn(1, 3, 1, 1)
    expected = (x - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + norm.eps).sqrt()
    torch.testing.assert_close(norm(x), expected)
    assert all(torch.equal(before[key], buffer) for key, buffer in norm.named_buffers())


def test_one_small_clip_passes_in_train_mode_where_the_last_feature_map_is_one_place():
    net = build("resnet18")
    feature = net(torch.randn(1, FRAMES, 3, SIZE, SIZE))
    assert torch.isfinite(feature).all()


# --- networks of one's own --------------------------------------------------------------------------------------------


class Mean(nn.Module):
    dim = 2

    def __init__(self, *, in_channels: int, frames: int, size: int, temporal_pool: bool, weights: str | None) -> None:
        super().__init__()
        self.given = (in_channels, frames, size, temporal_pool, weights)
        self.linear = nn.Linear(in_channels, 2)

    def forward(self, x_NTCHW: torch.Tensor) -> torch.Tensor:
        return self.linear(x_NTCHW.mean((3, 4)))


class WithoutDim(Mean):
    dim = None


class OfAnotherShape(Mean):
    def forward(self, x_NTCHW: torch.Tensor) -> torch.Tensor:
        return super().forward(x_NTCHW)[:, 0]


def not_a_network(**_: object) -> int:
    return 3


def of_two_arguments(in_channels: int, depth: int) -> Mean:
    raise AssertionError


NOT_CALLABLE = 5
HERE = __name__


def test_a_network_of_ones_own_is_built_with_the_settings_and_takes_an_empty_batch():
    net = build_backbone(f"{HERE}:Mean", 5, frames=FRAMES, size=SIZE, temporal_pool=False, weights="mine")
    assert net.net.given == (5, FRAMES, SIZE, False, "mine")
    assert net(torch.randn(3, FRAMES, 5, SIZE, SIZE)).shape == (3, FRAMES, 2)
    empty = net(torch.empty(0, FRAMES, 5, SIZE, SIZE))
    empty.sum().backward()
    assert empty.shape == (0, 1, 2)
    assert not net.net.linear.weight.grad.any()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_package.nets:Net", "cannot be imported"),
        (f"{HERE}:Missing", "cannot be imported"),
        (f"{HERE}:NOT_CALLABLE", "must be callable"),
        (f"{HERE}:of_two_arguments", "must be callable as"),
        (f"{HERE}:not_a_network", "must return a torch.nn.Module, got int"),
        (f"{HERE}:WithoutDim", "must have an attribute dim"),
        ("resnet19", "must be one of resnet18"),
    ],
)
def test_a_backbone_that_cannot_be_built_says_why(name, message):
    with pytest.raises(UserError, match=message) as caught:
        build(name)
    assert name in str(caught.value)


def test_a_network_of_ones_own_that_gives_another_shape_says_so_when_it_runs():
    net = build(f"{HERE}:OfAnotherShape")
    with pytest.raises(UserError, match=r"must give features .* = \(2, T, 2\).* got \(2, 2\)"):
        net(torch.randn(2, FRAMES, 3, SIZE, SIZE))


def test_small_conv_without_widths_says_what_it_needs():
    with pytest.raises(UserError, match="needs widths"):
        build_backbone("small_conv", 3, frames=1, size=SIZE)
