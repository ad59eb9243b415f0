"""Networks of torchvision are torchvision's own, take our images, and say what they do not take."""

import importlib

import pytest
import torch
from pydantic import ValidationError

from engine.errors import UserError
from engine.models.backbones import _foreign
from engine.models.backbones.base import BACKBONES
from engine.models.fit import Shape, require_fit
from engine.scenario import Scenario
from tests.engine.torchvision_here import torchvision_models


@pytest.fixture(scope="module")
def models():
    return torchvision_models()


def built(architecture, channels=3, size=32, num_classes=10):
    with torch.device("meta"):
        return BACKBONES["torchvision"](architecture=architecture).build(
            channels, size, num_classes
        )


@pytest.mark.parametrize(
    "architecture", ["resnet18", "squeezenet1_1", "vit_b_16", "regnet_x_400mf"]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_is_torchvisions_own_and_keeps_its_names(models, architecture, channels):
    size = {"image_size": 32} if architecture.startswith("vit") else {}
    with torch.device("meta" if "regnet" not in architecture else "cpu"):
        own = models.get_model(architecture, weights=None, num_classes=10, **size).state_dict()
    network = built(architecture, channels)
    shapes = {name.removeprefix("network."): v.shape for name, v in network.state_dict().items()}
    assert shapes == {name: value.shape for name, value in own.items()}
    assert network(torch.empty(2, channels, 32, 32, device="meta")).shape == (2, 10)


def test_a_grey_image_is_given_to_each_of_three_channels(models):
    torch.manual_seed(0)
    network = BACKBONES["torchvision"]().build(1, 16, 3).eval()
    x = torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(network(x), network.network(x.repeat(1, 3, 1, 1)))


def test_nothing_is_drawn_that_the_seed_of_a_run_does_not_decide(models):
    torch.manual_seed(0)
    network = BACKBONES["torchvision"](architecture="mobilenet_v2").build(3, 32, 10).train()
    x = torch.rand(4, 3, 32, 32)
    assert torch.equal(network(x), network(x))


@pytest.mark.parametrize(
    ("architecture", "channels", "size", "why"),
    [
        ("resnet19", 3, 32, r"torchvision has no classifier 'resnet19'; it has .*resnet18"),
        ("fasterrcnn_resnet50_fpn", 3, 32, "has no classifier"),
        ("inception_v3", 3, 32, "inception_v3 does not take images of 32 x 32"),
        ("vit_b_16", 3, 8, "vit_b_16 does not take images of 8 x 8"),
        ("resnet18", 2, 32, "takes 1 or 3 channels, the images have 2"),
    ],
)
def test_what_a_network_does_not_take_is_one_line(models, architecture, channels, size, why):
    with pytest.raises(UserError, match=rf"^model\.architecture: [^\n]*{why}[^\n]*$"):
        built(architecture, channels, size)


def test_a_scenario_names_library_and_architecture_at_once():
    at_once = Scenario.model_validate({"model": {"backbone": "torchvision:resnet50"}})
    apart = {"backbone": "torchvision", "architecture": "resnet50"}
    assert at_once == Scenario.model_validate({"model": apart})
    assert Scenario.model_validate(at_once.as_json()) == at_once
    assert at_once.model.called == "torchvision:resnet50"


@pytest.mark.parametrize("name", ["../x", "hf-hub:someone/net", "a b", "", "x" * 200])
def test_an_architecture_is_a_name_and_no_address(name):
    for library in ("torchvision", "timm"):
        with pytest.raises(ValidationError):
            Scenario.model_validate({"model": {"backbone": library, "architecture": name}})


def test_a_torchvision_of_another_torch_is_one_line_with_the_cure(monkeypatch):
    def broken(name):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(_foreign, "import_module", broken)
    with pytest.raises(
        UserError, match=r"^model\.architecture: torchvision \S+ does not belong to"
    ):
        BACKBONES["torchvision"]().build(3, 32, 10)


def test_a_library_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setattr(_foreign, "version", lambda name: importlib.metadata.version("no-such"))
    monkeypatch.setattr(_foreign, "import_module", lambda name: importlib.import_module("no_such"))
    with pytest.raises(UserError, match=r"timm is not installed; pip install timm$"):
        BACKBONES["timm"]().build(3, 32, 10)


def test_weights_of_a_torchvision_network_are_told_which_it_is(models):
    with torch.device("meta"):
        weights = models.resnet34(num_classes=10).state_dict()
    asked = BACKBONES["torchvision"](architecture="resnet18")
    with pytest.raises(UserError) as refused:
        require_fit(weights, asked, Shape(3, 32, 10), called="W: a", on="cifar10")
    text = str(refused.value)
    assert "does not fit torchvision:resnet18 for 10 classes of cifar10" in text
    assert text.endswith("it fits torchvision:resnet34")
