"""What every backbone promises, whatever the images."""

import torch

from engine.models.backbones.base import BackboneConfig
from engine.seeds import initialising

IMAGES = ((1, 8, 10), (3, 32, 100), (1, 28, 2))
"""Channels, size and classes."""


def maps_any_images_to_logits(
    config: BackboneConfig, channels: int, size: int, *, num_classes: int
) -> None:
    """It gives logits (B, C), and every parameter a gradient."""
    net = config.build(channels, size, num_classes)
    x = torch.rand(3, channels, size, size)
    assert net(x).shape == (3, num_classes)
    net(x).sum().backward()
    missing = [name for name, parameter in net.named_parameters() if parameter.grad is None]
    assert not missing, f"no gradient reaches {', '.join(missing)}"


def starts_as_its_seed_says(config: BackboneConfig) -> None:
    """Equal seeds give equal weights: its only randomness is torch's global stream."""
    states = []
    for _ in range(2):
        with initialising(5, "contract"):
            states.append(config.build(1, 8, 3).state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def looks_at_each_image_alone(config: BackboneConfig) -> None:
    """In eval mode what it says of an image depends on none beside it, and is always the same."""
    net = config.build(1, 8, 3).eval()
    x = torch.rand(5, 1, 8, 8)
    with torch.no_grad():
        together, alone = net(x), torch.cat([net(image[None]) for image in x])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-4)
