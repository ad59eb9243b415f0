"""A model as torch.export's program and as ONNX gives the logits that it gives itself.

Tolerance: the program runs the same kernels on the same weights, so torch.export's logits are equal
to the last bit. ONNX Runtime sums in its own order and folds batch norm into convolutions, in
float32: each logit is a sum of products that are rounded to 2^-24 of their size, and 1e-4 of the
largest logit is a thousand of those.
"""

import io
import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from engine.models.classifier import Classifier
from engine.models.portable import as_onnx, as_program
from tests.engine.own_backbones import OWN

HAS_ONNX = all(find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))


def used(config, channels=3, size=16) -> Classifier:
    """A model whose batch norm has seen images, and whose normalisation is not the identity."""
    torch.manual_seed(0)
    network = config.build(channels, size, 7)
    model = Classifier(network, torch.rand(channels), 0.5 + torch.rand(channels)).train()
    model(torch.rand(8, channels, size, size))
    return model


def loaded(model: Classifier, shape, **told):
    file = io.BytesIO()
    as_program(model, shape, file, told=told)
    file.seek(0)
    extra = dict.fromkeys(told, "")
    return torch.export.load(file, extra_files=extra).module(), extra


@pytest.mark.parametrize("name", OWN)
def test_a_program_gives_the_same_logits_for_any_number_of_images(name, small_backbone):
    model = used(small_backbone(name))
    program, _ = loaded(model, (3, 16, 16))
    for num in (1, 2, 5):
        x = torch.rand(num, 3, 16, 16)
        assert torch.equal(program(x), model.eval()(x))


def test_weights_are_loaded_into_a_program_by_the_models_own_names(small_backbone):
    config = small_backbone("small-cnn")
    program, _ = loaded(used(config), (3, 16, 16))
    other = Classifier(config.build(3, 16, 7), torch.zeros(3), torch.ones(3)).eval()
    program.load_state_dict(other.state_dict())
    x = torch.rand(3, 3, 16, 16)
    assert torch.equal(program(x), other(x))


def test_a_program_computes_in_float32_whatever_training_used_and_tells_its_extra_files(
    small_backbone,
):
    model = used(small_backbone("small-cnn"))
    model.bf16 = True
    program, extra = loaded(model, (3, 16, 16), **{"classes.json": '["a"]'})
    assert model.bf16
    with model.eval().in_float32():
        x = torch.rand(2, 3, 16, 16)
        assert torch.equal(program(x), model(x))
    assert extra == {"classes.json": '["a"]'}


@pytest.mark.skipif(not HAS_ONNX, reason="onnx, onnxscript and onnxruntime are not all installed")
@pytest.mark.parametrize("name", ["small-cnn", "mlp"])
def test_onnx_gives_the_same_logits_for_any_number_of_images(name, small_backbone):
    import onnx
    import onnxruntime

    model = used(small_backbone(name))
    content = as_onnx(model, (3, 16, 16), told={"classes": json.dumps(["🙂", "<b>"])})
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    session = onnxruntime.InferenceSession(content)
    (images,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.shape[0], logits.name) == ("images", "batch", "logits")
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["🙂", "<b>"]
    for num in (1, 2, 5):
        x = torch.rand(num, 3, 16, 16)
        with torch.no_grad():
            expected = model.eval()(x).numpy()
        (found,) = session.run(None, {"images": x.numpy()})
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
