"""Exported files compute what the network does, for any number of segments; the policy runs over a video by its state."""

import json

import numpy as np
import pytest
import torch

from explorer.api import export
from explorer.errors import UserError
from trainables.kit.data.modalities import MODALITIES

SEGMENTS = (3, 7)


@pytest.fixture(scope="module", params=["onnx", "torch"])
def exported(request, model, tmp_path_factory):
    if request.param == "onnx":
        pytest.importorskip("onnxruntime")
    return export(model, tmp_path_factory.mktemp("exported") / request.param, format=request.param)


def runner(exported, name):
    """Runs an exported file on tensors."""
    if exported.format == "torch":
        module = torch.export.load(exported.files[name]).module()
        return torch.no_grad()(lambda *inputs: out if isinstance(out := module(*inputs), tuple) else (out,))
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported.files[name]), providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    return lambda *inputs: tuple(
        map(torch.from_numpy, session.run(None, {n: x.numpy() for n, x in zip(names, inputs, strict=True)}))
    )


@pytest.mark.parametrize("segments", SEGMENTS)
def test_recognition_of_any_number_of_segments_equals_the_network(exported, model, segments):
    for name in model.config.data.modalities:
        x = torch.randn(segments, *MODALITIES[name].shape(model.config.data))
        with torch.no_grad():
            expected = model.network.recognition[name](x)
        (found,) = runner(exported, f"recognition.{name}")(x)
        np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("segments", SEGMENTS)
def test_the_policy_stepped_over_segments_equals_the_policy_on_the_whole_video(exported, model, segments):
    inputs = {
        m: torch.randn(1, segments, *MODALITIES[m].shape(model.config.data)) for m in model.config.data.modalities
    }
    policy = model.network.policy
    with torch.no_grad():
        expected = policy.probability(policy(inputs))[0]
    run = runner(exported, "policy")
    facts = json.loads((exported.folder / "export.json").read_text())["networks"]["policy"]
    state = [torch.zeros(1, *facts["inputs"][name][1:]) for name in facts["state"]]
    found = []
    for segment in range(segments):
        probability, *state = run(*(x[:, segment] for x in inputs.values()), *state)
        found.append(probability[0])
    np.testing.assert_allclose(torch.stack(found).numpy(), expected.numpy(), atol=1e-5)


def test_the_index_names_files_classes_and_thresholds(exported, model):
    facts = json.loads((exported.folder / "export.json").read_text())
    assert facts["classes"] == list(model.classes) and facts["knobs"] == dict(model.knobs)
    assert {n["file"] for n in facts["networks"].values()} <= {p.name for p in exported.folder.iterdir()}


def test_a_folder_that_holds_something_is_left_alone(model, tmp_path):
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(UserError, match="does not exist or is empty"):
        export(model, tmp_path, format="torch")
    assert (tmp_path / "mine").read_text() == "keep"
