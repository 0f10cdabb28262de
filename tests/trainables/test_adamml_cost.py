"""Golden costs: the paper's table to the unit, and the closed forms behind it."""

import pytest

from trainables.adamml.cost import cost_table
from trainables.adamml.system import AdaMMLSystem

SEGMENTS = 10
RGB_RESNET50 = 14_135_984_128
AUDIO_MOBILENET = 381_739_008
POLICY_RGB = 375_446_400
LSTM = 4 * 256 * (2048 + 256)


def config_of(preset: str, **data: object):
    raw = dict(AdaMMLSystem.presets[preset])
    raw["data"] = {**raw["data"], "manifest": "unused.jsonl", **data}
    return AdaMMLSystem.Config.model_validate(raw)


@pytest.fixture(scope="module")
def paper():
    return cost_table(config_of("paper"), 31)


def test_paper_preset_costs_what_the_paper_counts_to_the_unit(paper):
    assert paper.per_segment_macs["paper"] == {"rgb": RGB_RESNET50, "audio": AUDIO_MOBILENET}
    assert paper.always_macs["paper"] == POLICY_RGB + AUDIO_MOBILENET + LSTM
    assert paper.segments == SEGMENTS


def test_all_on_equals_table_1_to_the_published_decimals(paper):
    assert paper.all_on_gmacs("paper") == pytest.approx(145.177, abs=5e-4)  # the paper prints 145.17, truncated
    assert paper.per_segment_macs["paper"]["rgb"] * SEGMENTS / 1e9 == pytest.approx(141.36, abs=5e-3)
    assert paper.per_segment_macs["paper"]["audio"] * SEGMENTS / 1e9 == pytest.approx(3.82, abs=5e-3)


def test_published_kinetics_sounds_rates_cost_76_88_not_the_published_76_45(paper):
    assert paper.at_rates_gmacs("paper", {"rgb": 0.4647, "audio": 0.9415}) == pytest.approx(76.879, abs=5e-4)


def test_published_activitynet_rates_cost_117_53_not_the_published_94_01(paper):
    assert paper.at_rates_gmacs("paper", {"rgb": 0.7625, "audio": 0.5635}) == pytest.approx(117.53, abs=5e-3)


def test_full_convention_adds_linear_layers_and_the_fed_back_logits(paper):
    heads = {"rgb": 2048 * 31, "audio": 1280 * 31}
    for name, head in heads.items():
        assert paper.per_segment_macs["full"][name] == paper.per_segment_macs["paper"][name] + head
    joint = 2 * 1280 * 2048 + 2048 * 2048
    fed_back = 4 * 256 * 4
    policy_heads = 2 * 256 * 2
    assert paper.always_macs["full"] == paper.always_macs["paper"] + joint + fed_back + policy_heads


def test_tiny_policy_is_at_most_a_tenth_of_everything_on():
    tiny = cost_table(config_of("tiny"), 10)
    for convention in ("paper", "full"):
        policy = tiny.always_macs[convention] * tiny.segments / 1e9
        assert policy <= 0.1 * tiny.all_on_gmacs(convention)


def test_resnet18_has_the_counted_cost_on_frames_and_on_a_spectrogram():
    import torch

    from trainables.kit.measure.macs import count_macs
    from trainables.kit.nets.backbones import build_backbone

    with torch.device("meta"):
        frames, sound = build_backbone("resnet18", 3), build_backbone("resnet18", 1)
        x_frames, x_sound = torch.empty(1, 8, 3, 224, 224), torch.empty(1, 1, 1, 256, 256)
    assert count_macs(frames, lambda: frames(x_frames)).conv == pytest.approx(7.5208e9, rel=1e-5)
    assert count_macs(sound, lambda: sound(x_sound)).conv == 2_265_972_736


def test_resnet50_without_temporal_pools_costs_32_70_g_a_segment():
    import torch

    from trainables.kit.measure.macs import count_macs
    from trainables.kit.nets.backbones import build_backbone

    with torch.device("meta"):
        net = build_backbone("resnet50", 3, temporal_pool=False)
        x = torch.empty(1, 8, 3, 224, 224)
    assert count_macs(net, lambda: net(x)).conv / 1e9 == pytest.approx(32.70, abs=5e-3)
