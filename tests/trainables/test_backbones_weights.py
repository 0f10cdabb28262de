"""Initial weights by name and from files, and trained checkpoints made elsewhere."""

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torch import nn

from trainables.errors import UserError
from trainables.kit.engine.weights import save_weights
from trainables.kit.nets.backbones import BACKBONES, build_backbone
from trainables.kit.nets.checkpoints import read_checkpoint

# isort: split
import torchvision.models as tv

SIZE = 32
FRAMES = 4
CLASSES = 7
SHAPES = {"frames": FRAMES, "size": SIZE}
TORCHVISION = tuple(name for name, family in BACKBONES.items() if family.layout is not None)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def torchvision_net(name: str, in_channels: int = 3) -> nn.Module:
    net = tv.get_model(name, weights=None, num_classes=CLASSES).eval()
    if name == "mvit_v2_s":  # torchvision fixes the grid when it builds the network
        net.pos_encoding.temporal_size, net.pos_encoding.spatial_size = FRAMES // 2, (SIZE // 4, SIZE // 4)
    if in_channels != 3:
        net.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
    return net


def save(path: Path, state: dict) -> str:
    if path.suffix == ".safetensors":
        save_weights(path, state)
    else:
        torch.save(state, path)
    return str(path)


@pytest.fixture
def resnet(tmp_path) -> str:
    return save(tmp_path / "resnet18.pth", torchvision_net("resnet18").state_dict())


# --- initial weights --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_checkpoint_of_torchvisions_layout_classifies_as_torchvision_does(name, tmp_path):
    theirs = torchvision_net(name)
    path = save(tmp_path / "net.safetensors", theirs.state_dict())
    state = read_checkpoint(path, name, CLASSES, 3, **SHAPES)
    ours = build_backbone(name, 3, **SHAPES).eval()
    head = nn.Linear(ours.dim, CLASSES)
    nn.ModuleDict({"backbone": ours, "head": head}).load_state_dict(state)
    frames = 1 if name in tv.list_models(module=tv) else FRAMES
    x = torch.randn(2, frames, 3, SIZE, SIZE)
    with torch.no_grad():
        expected = theirs(x[:, 0] if frames == 1 else x.transpose(1, 2))
        torch.testing.assert_close(head(ours(x)).mean(1), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"model": s, "epoch": 3}, lambda s: {"state_dict": s}])
def test_initial_weights_come_from_a_file_whatever_its_classes_and_wrapping(wrap, tmp_path):
    theirs = torchvision_net("resnet18").state_dict()
    path = save(tmp_path / "net.pth", wrap({f"module.{name}": tensor for name, tensor in theirs.items()}))
    ours = build_backbone("resnet18", 3, weights=path, **SHAPES)
    assert torch.equal(ours.blocks[4][1].conv2.weight, theirs["layer4.1.conv2.weight"])


def test_weights_for_rgb_are_adapted_after_loading_and_weights_for_these_channels_are_taken_as_they_are(
    tmp_path, resnet
):
    rgb = torch.load(resnet, weights_only=True)["conv1.weight"]
    adapted = build_backbone("resnet18", 10, weights=resnet, **SHAPES).blocks[0][0].weight
    assert torch.equal(adapted, rgb.mean(1, keepdim=True).expand(-1, 10, -1, -1))
    flow = torchvision_net("resnet18", 10).state_dict()
    path = save(tmp_path / "flow.pth", flow)
    assert torch.equal(build_backbone("resnet18", 10, weights=path, **SHAPES).blocks[0][0].weight, flow["conv1.weight"])


def test_named_weights_are_torchvisions_first_version(monkeypatch):
    theirs = torchvision_net("resnet18").state_dict()
    asked = []
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url", lambda url, **_: asked.append(url) or dict(theirs)
    )
    ours = build_backbone("resnet18", 3, weights="imagenet", **SHAPES)
    assert torch.equal(ours.blocks[0][0].weight, theirs["conv1.weight"])
    assert asked == [tv.ResNet18_Weights.IMAGENET1K_V1.url]


def test_named_weights_that_cannot_be_fetched_ask_for_a_path(monkeypatch):
    def unreachable(url: str, **_: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(UserError, match=r"cannot be fetched .*no route to host.*give the path"):
        build_backbone("mvit_v2_s", 3, weights="kinetics400", **SHAPES)


def test_on_the_meta_device_no_weights_are_fetched_or_read():
    with torch.device("meta"):
        assert build_backbone("resnet18", 3, weights="imagenet", **SHAPES).dim == 512
        assert build_backbone("resnet18", 3, weights="/no/such/file.pth", **SHAPES).dim == 512


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("resnet18", "kinetics400", "must be imagenet or a file, got 'kinetics400'"),
        ("mvit_v2_s", "imagenet", "must be kinetics400 or a file, got 'imagenet'"),
        ("swin3d_t", "kinetics400", "at least 193 px .* got 32"),
        ("small_conv", "imagenet", "no published weights"),
        ("resnet18", "/no/such/file.pth", "existing file .* got '/no/such/file.pth'"),
    ],
)
def test_weights_that_a_network_does_not_have_say_what_it_has(name, weights, message):
    with pytest.raises(UserError, match=message):
        build_backbone(name, 3, weights=weights, widths=(4,), **SHAPES)


def test_weights_of_another_network_name_the_first_difference(resnet):
    with pytest.raises(UserError, match=r"not weights of resnet34: layer1\.2\.conv1\.weight is missing \(and \d+ more"):
        build_backbone("resnet34", 3, weights=resnet, **SHAPES)


@pytest.mark.parametrize("name", ["junk.pth", "junk.safetensors"])
def test_a_file_that_is_not_weights_says_so(name, tmp_path):
    (tmp_path / name).write_bytes(b"not a file of weights")
    with pytest.raises(UserError, match="does not read as weights"):
        build_backbone("resnet18", 3, weights=str(tmp_path / name), **SHAPES)


@pytest.mark.parametrize("content", [nn.Linear(2, 2), {"optimizer": {"lr": 1.0}}, [torch.zeros(2)]])
def test_a_torch_file_with_more_than_tensors_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "net.pth")
    with pytest.raises(UserError, match="state dict"):
        build_backbone("resnet18", 3, weights=str(tmp_path / "net.pth"), **SHAPES)


# --- trained checkpoints ----------------------------------------------------------------------------------------------


def our_state(modalities: tuple[str, ...]) -> dict[str, torch.Tensor]:
    state = {"policy.lstm.bias_ih": torch.zeros(4)}
    for modality in modalities:
        backbone = build_backbone("small_conv", 3, widths=(4, 6), **SHAPES)
        net = nn.ModuleDict({"backbone": backbone, "head": nn.Linear(6, CLASSES)})
        state |= {f"recognition.{modality}.{name}": tensor for name, tensor in net.state_dict().items()}
    return state


def read_ours(path: str, classes: int = CLASSES, in_channels: int = 3, widths=(4, 6), modality: str | None = None):
    return read_checkpoint(path, "small_conv", classes, in_channels, widths=widths, modality=modality, **SHAPES)


def test_a_stages_own_weights_give_the_net_of_the_modality(tmp_path):
    state = our_state(("audio", "rgb"))
    path = save(tmp_path / "weights.safetensors", state)
    found = read_ours(path, modality="rgb")
    assert set(found) == {n.removeprefix("recognition.rgb.") for n in state if n.startswith("recognition.rgb.")}
    assert torch.equal(found["backbone.blocks.0.0.weight"], state["recognition.rgb.backbone.blocks.0.0.weight"])
    with pytest.raises(UserError, match="recognition nets for audio, rgb, asked for one of them"):
        read_ours(path)
    with pytest.raises(UserError, match="recognition nets for audio, rgb, asked for flow"):
        read_ours(path, modality="flow")


def test_the_only_net_of_a_file_needs_no_modality(tmp_path):
    path = save(tmp_path / "weights.safetensors", our_state(("flow",)))
    assert read_ours(path)["head.weight"].shape == (CLASSES, 6)


def test_checkpoints_that_do_not_fit_say_what_differs(tmp_path, resnet):
    path = save(tmp_path / "weights.safetensors", our_state(("rgb",)))
    with pytest.raises(UserError, match="classifier has 7 classes, the data has 5"):
        read_ours(path, classes=5)
    with pytest.raises(
        UserError, match=r"not weights of small_conv for 1 channels: backbone.blocks.0.0.weight is \(4, 3"
    ):
        read_ours(path, in_channels=1)
    with pytest.raises(UserError, match="more differences"):
        read_ours(path, widths=(4, 8))
    with pytest.raises(UserError, match="classifier has 7 classes, the data has 5"):
        read_checkpoint(resnet, "resnet18", 5, 3, **SHAPES)
    with pytest.raises(UserError, match="takes 3 channels, the modality has 10"):
        read_checkpoint(resnet, "resnet18", CLASSES, 10, **SHAPES)
    with pytest.raises(UserError, match="not weights of resnet34"):
        read_checkpoint(resnet, "resnet34", CLASSES, 3, **SHAPES)
    with pytest.raises(UserError, match=r"must hold classifier\.1\.weight .* it holds conv1\.weight"):
        read_checkpoint(resnet, "mobilenet_v2", CLASSES, 3, **SHAPES)
    with pytest.raises(UserError, match="existing file"):
        read_checkpoint(tmp_path / "missing.pth", "resnet18", CLASSES, 3, **SHAPES)


def test_a_checkpoint_without_its_heads_bias_is_refused(tmp_path):
    state = torchvision_net("resnet18").state_dict()
    del state["fc.bias"]
    with pytest.raises(UserError, match=r"head\.bias is missing"):
        read_checkpoint(save(tmp_path / "net.pth", state), "resnet18", CLASSES, 3, **SHAPES)
