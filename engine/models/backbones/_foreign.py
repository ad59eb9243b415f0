"""What networks of another library share: how they take our images, and what is left out."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

import torch
from torch import Tensor, nn

from engine.errors import UserError

FIELD = "model.architecture"
PAIR = "pip install --force-reinstall torch torchvision"
COLOURS = 3


class Foreign(nn.Module):
    """Another library's classifier, as that library builds it: its weights keep their names.

    It takes three channels; a grey image is given to each of them. Its dropout and its stochastic
    depth draw from the process and not from the run's seed, so they are switched off.
    """

    def __init__(self, network: nn.Module) -> None:
        """Wrap a network from (B, 3, size, size) to logits (B, C)."""
        super().__init__()
        self.network = network
        for module in network.modules():
            _draw_nothing(module)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x.expand(-1, COLOURS, -1, -1) if x.shape[1] == 1 else x)
        return logits


def _draw_nothing(module: nn.Module) -> None:
    for name in ("p", "drop_prob", "dropout"):
        if isinstance(getattr(module, name, None), float):
            setattr(module, name, 0.0)


def built(make: Callable[[], nn.Module], called: str, *, shape: tuple[int, int, int]) -> Foreign:
    """Build a network, once it is known that it takes the images.

    Args:
        make: Builds it.
        called: What it is called in messages: ``torchvision:resnet18``.
        shape: Channels, size and classes.

    Raises:
        UserError: It takes no such images, or does not tell so many classes apart.
    """
    channels, size, num_classes = shape
    if channels not in (1, COLOURS):
        raise UserError(f"{FIELD}: {called} takes 1 or 3 channels, the images have {channels}")
    try:
        with torch.device("meta"), torch.no_grad():
            said = _made(make).eval()(torch.empty(2, channels, size, size))
    except Exception as error:  # noqa: BLE001 - each network fails in its own way
        why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(". !")
        raise UserError(
            f"{FIELD}: {called} does not take images of {size} x {size} ({why}); choose another "
            "architecture"
        ) from None
    if tuple(getattr(said, "shape", ())) != (2, num_classes):
        raise UserError(f"{FIELD}: {called} is no classifier of {num_classes} classes")
    return _made(make)


def _made(make: Callable[[], nn.Module]) -> Foreign:
    """Build a network on the device that is the default; one that computes its widths, on a CPU."""
    try:
        return Foreign(make())
    except NotImplementedError:  # on the meta device nothing can be computed
        with torch.device("cpu"):
            network = Foreign(make())
        return network.to(torch.get_default_device())


def library(name: str, module: str) -> ModuleType:
    """Import a library's models.

    Raises:
        UserError: It is not installed, or does not belong to this torch.
    """
    try:
        return import_module(module)
    except Exception:  # noqa: BLE001 - a library built for another torch fails in any way
        raise UserError(f"{FIELD}: {why_not(name)}") from None


def why_not(name: str) -> str:
    """Say why a library cannot be used, and what to do."""
    try:
        found = version(name)
    except PackageNotFoundError:
        return f"{name} is not installed; pip install {name}"
    pair = PAIR if name == "torchvision" else f"{PAIR} {name}"
    return f"{name} {found} does not belong to torch {torch.__version__}; install a pair: {pair}"
