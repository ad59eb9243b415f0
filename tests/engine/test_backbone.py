import math

import pytest
import torch
from torch.overrides import TorchFunctionMode

from caat_studio_contracts import backbones as rules
from engine.models.backbones.base import BACKBONES
from engine.models.classifier import Classifier, channel_statistics
from tests.engine.own_backbones import OWN


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(("channels", "size", "num_classes"), rules.IMAGES)
def test_a_backbone_maps_any_images_to_logits(name, channels, size, num_classes, small_backbone):
    config = small_backbone(name)
    rules.maps_any_images_to_logits(config, channels, size, num_classes=num_classes)


@pytest.mark.parametrize("size", [8, 28])
@pytest.mark.parametrize("name", OWN)
def test_a_convolution_keeps_the_size_of_its_images_but_for_its_stride(name, size, small_backbone):
    def keeps_size(layer, given, made):
        assert made.shape[-1] == math.ceil(given[0].shape[-1] / layer.stride[0])

    net = small_backbone(name).build(1, size, 10)
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(keeps_size)
    net(torch.rand(2, 1, size, size))


class Convolutions(TorchFunctionMode):
    """Keeps the channels and the stride of each convolution that torch is asked for."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.nn.functional.conv2d:
            self.asked.append((args[0].shape[1], args[3] if len(args) > 3 else (1, 1)))
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("channels", [1, 4, 8, 12, 16])
@pytest.mark.parametrize("stride", [1, 2])
def test_torch_takes_the_stride_of_a_shortcut_only_where_channels_are_a_multiple_of_8(
    channels, stride
):
    from engine.models.backbones._blocks import Shortcut

    layer, x = Shortcut(channels, 8, 1, stride, bias=False), torch.rand(2, channels, 6, 6)
    with Convolutions() as seen:
        found = layer(x)
    own = stride if channels % 8 == 0 else 1
    assert seen.asked == [(channels, (own, own))]
    expected = torch.nn.functional.conv2d(x, layer.weight, None, (stride, stride))
    torch.testing.assert_close(found, expected)


PUBLISHED = {
    # Kuangliu's PreActResNet18 has 11,171,146; ours adds the last norm's 1,024.
    "preact-resnet18": 11_171_146 + 1_024,
    "resnet32": 464_154,  # 0.46 M (He et al., table 6)
    "wrn-28-10": 36_479_194,  # 36.5 M (Zagoruyko and Komodakis, table 4)
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_network_has_its_published_size(name):
    with torch.device("meta"):
        net = BACKBONES[name]().build(3, 32, 10)
    assert sum(parameter.numel() for parameter in net.parameters()) == PUBLISHED[name]


def test_a_shortcut_without_parameters_takes_every_second_pixel_and_pads_with_zeros():
    from engine.models.backbones._blocks import BasicBlock

    block = BasicBlock(2, 4, stride=2).eval()
    torch.nn.init.zeros_(block.conv2.weight)  # leaves the shortcut alone
    x = torch.rand(1, 2, 8, 8)
    y = block(x)
    assert torch.equal(y[:, 1:3], x[:, :, ::2, ::2])
    assert not y[:, [0, 3]].any()


def test_a_classifier_normalises_by_channel():
    model = Classifier(torch.nn.Identity(), torch.tensor([0.5, 0.2]), torch.tensor([0.5, 0.1]))
    x = torch.tensor([1.0, 0.3]).view(1, 2, 1, 1)
    torch.testing.assert_close(model(x).flatten(), torch.tensor([1.0, 1.0]))


@pytest.mark.parametrize("n", [1, 7, 5000])
def test_channel_statistics_are_those_of_all_pixels_at_once(n):
    images = torch.randint(256, (n, 3, 4, 4), dtype=torch.uint8)
    std, mean = torch.std_mean(images.double() / 255, dim=(0, 2, 3))
    found = channel_statistics(images)
    torch.testing.assert_close(found[0], mean.float())
    torch.testing.assert_close(found[1], std.float())


def test_a_channel_of_one_colour_is_not_divided_by_zero():
    mean, std = channel_statistics(torch.full((4, 1, 2, 2), 51, dtype=torch.uint8))
    assert mean.item() == pytest.approx(0.2)
    assert std.item() == pytest.approx(1e-3)
