import pytest
import torch

from engine.backbone import BACKBONES, Classifier, channel_statistics


@pytest.mark.parametrize("name", BACKBONES.names())
@pytest.mark.parametrize(
    ("channels", "size", "num_classes"), [(1, 8, 10), (3, 32, 100), (1, 28, 2)]
)
def test_a_backbone_maps_any_images_to_logits(name, channels, size, num_classes):
    net = BACKBONES[name](width=2).build(channels, size, num_classes)
    x = torch.rand(3, channels, size, size)
    assert net(x).shape == (3, num_classes)
    net(x).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_the_published_resnet_has_its_published_size():
    net = BACKBONES["preact-resnet18"]().build(3, 32, 10)
    num_parameters = sum(parameter.numel() for parameter in net.parameters())
    # Kuangliu's PreActResNet18 has 11,171,146; ours adds the last norm's 1,024.
    assert num_parameters == 11_171_146 + 1_024


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
