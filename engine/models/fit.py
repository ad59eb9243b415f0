"""Do somebody's weights fit a network? Under which names, and if not, which network do they fit?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.errors import UserError
from engine.lazy import torch
from engine.models.backbones.base import BACKBONES, BackboneConfig

if TYPE_CHECKING:
    from torch import Tensor

MOST_NAMED = 10
NORMALISATION = frozenset({"mean", "std"})
"""The names of a classifier's first layer; another library's file has none."""
_COUNTED = "num_batches_tracked"
"""What batch norms of old versions do not have, and no prediction depends on."""
_FAMILIES = {
    "layer1.0.conv1.weight": ("resnet", "resnext", "wide_resnet"),
    "features.norm5.weight": ("densenet",),
    "features.0.0.weight": ("mobilenet_v2", "mobilenet_v3", "efficientnet", "convnext", "swin"),
    "conv_proj.weight": ("vit",),
    "stage2.0.branch1.0.weight": ("shufflenet",),
    "layers.0.weight": ("mnasnet",),
    "stem.0.weight": ("regnet",),
    "inception3a.branch1.conv.weight": ("googlenet",),
    "features.0.weight": ("vgg", "alexnet", "squeezenet"),
}
"""A name that a family of torchvision's classifiers has, and how their names begin."""


@dataclass(frozen=True)
class Shape:
    """Images and classes: channels, size of a side, number of classes."""

    channels: int
    size: int
    num_classes: int


@dataclass(frozen=True)
class Fit:
    """Weights under a network's names, and what keeps them from fitting.

    Attributes:
        weights: By the classifier's own names.
        missing, unexpected: Names.
        others: Names of another shape: what it is, and what it is there.
    """

    weights: dict[str, Tensor]
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    others: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        return not (self.missing or self.unexpected or self.others)

    @property
    def distance(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.others)

    def in_words(self) -> str:
        """Name at most ten of the names that do not fit."""
        told, left = [], MOST_NAMED
        shapes = [
            f"{name} is {has}, there it is {wants}" for name, (has, wants) in self.others.items()
        ]
        for what, names in (
            ("of another shape", shapes),
            ("missing", self.missing),
            ("not part of it", self.unexpected),
        ):
            if names:
                shown = ", ".join(names[:left])
                told.append(f"{len(names)} {what}{f' ({shown})' if shown else ''}")
                left -= len(names[:left])
        return "; ".join(told)


def fit(weights: Mapping[str, Tensor], backbone: BackboneConfig, shape: Shape) -> Fit:
    """Bring weights under a network's names, whatever wrappers they were saved in.

    Raises:
        UserError: The network cannot be built for such images.
    """
    needed = template(backbone, shape)
    own = {name: value for name, value in weights.items() if name != "n_averaged"}
    ways = [
        {f"{below}{name}": value for name, value in names.items()}
        for names in _unwrapped(own)
        for below in ("", "backbone.", "backbone.network.")
    ]
    best = max(ways, key=lambda named: len(named.keys() & needed.keys()))
    return _compared(best, needed)


def template(backbone: BackboneConfig, shape: Shape) -> dict[str, Tensor]:
    """Return everything that a classifier holds, on the meta device: nothing is computed."""
    from engine.models.classifier import Classifier

    with torch.device("meta"):
        network = backbone.build(shape.channels, shape.size, shape.num_classes)
        model = Classifier(network, torch.zeros(shape.channels), torch.ones(shape.channels))
    return dict(model.state_dict())


def _unwrapped(weights: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Yield weights under their names, and without each first part that all of them share."""
    names = dict(weights)
    while True:
        yield names
        first = {name.partition(".")[0] for name in names}
        if len(first) != 1 or not all("." in name for name in names):
            return
        names = {name.partition(".")[2]: value for name, value in names.items()}


def _compared(named: dict[str, Tensor], needed: Mapping[str, Tensor]) -> Fit:
    there = needed.keys() if named.keys() & NORMALISATION else needed.keys() - NORMALISATION
    missing = sorted(name for name in there - named.keys() if not name.endswith(_COUNTED))
    unexpected = sorted(named.keys() - needed.keys())
    others = {
        name: (_in_words(named[name]), _in_words(needed[name]))
        for name in sorted(there & named.keys())
        if named[name].shape != needed[name].shape
    }
    found = Fit({}, missing, unexpected, others)
    if not found.is_whole:
        return found
    zero = torch.zeros((), dtype=torch.int64)
    weights = {name: _plain(named.get(name, zero), needed[name]) for name in sorted(there)}
    return Fit(weights)


def _plain(value: Tensor, like: Tensor) -> Tensor:
    """Return a tensor of the network's own type, in memory of its own."""
    if value.layout is not torch.strided or value.is_quantized:
        value = value.dequantize() if value.is_quantized else value.to_dense()
    return value.detach().to(like.dtype).clone().contiguous()


def _in_words(value: Tensor) -> str:
    return " x ".join(map(str, value.shape)) or "a number"


def require_fit(
    weights: Mapping[str, Tensor], backbone: BackboneConfig, shape: Shape, *, called: str, on: str
) -> dict[str, Tensor]:
    """Return weights under a network's names.

    Args:
        weights: As a file holds them.
        backbone: The network.
        shape: Of the images, and how many classes.
        called: What the weights are called in a message, with the field that it is about.
        on: The data.

    Raises:
        UserError: They do not fit; it says what does not, and which network they do fit.
    """
    found = fit(weights, backbone, shape)
    if not found.is_whole:
        raise UserError(
            f"{called} does not fit {backbone.called} for {shape.num_classes} classes of {on}: "
            f"{found.in_words()}; {_advice(weights, shape)}"
        )
    broken = [name for name, value in found.weights.items() if not bool(value.isfinite().all())]
    if broken:
        raise UserError(
            f"{called} holds NaN or infinite numbers, in {broken[0]} among others; choose other "
            "weights"
        )
    return found.weights


def _advice(weights: Mapping[str, Tensor], shape: Shape) -> str:
    for num_classes in (shape.num_classes, *_class_numbers(weights, shape.num_classes)):
        asked = Shape(shape.channels, shape.size, num_classes)
        for backbone in candidates(weights):
            if _fits(weights, backbone, asked):
                width = f" of width {width}" if (width := getattr(backbone, "width", None)) else ""
                of = "" if num_classes == shape.num_classes else f", for {num_classes:,} classes"
                return f"it fits {backbone.called}{width}{of}"
    return "it fits none of the networks that are known here; choose what it was trained with"


def _fits(weights: Mapping[str, Tensor], backbone: BackboneConfig, shape: Shape) -> bool:
    try:
        return fit(weights, backbone, shape).is_whole
    except UserError:
        return False


def _class_numbers(weights: Mapping[str, Tensor], known: int) -> list[int]:
    """Return how many classes the last layers of weights may tell apart, the last first."""
    rows = [len(value) for value in weights.values() if value.ndim == 2]
    return list(dict.fromkeys(rows[-1:] + rows[:1])) if rows[-1:] != [known] else []


def candidates(weights: Mapping[str, Tensor]) -> Iterator[BackboneConfig]:
    """Yield the networks whose weights these may be: ours in likely widths, and torchvision's."""
    first = next((len(value) for value in weights.values() if value.ndim in (2, 4)), 1)
    for config in BACKBONES:
        if config.package:
            continue
        widths = (
            [{"width": first}, {"width": first // 16}] if "width" in config.model_fields else []
        )
        for fields in ({}, *widths):
            try:
                yield config.model_validate(fields)
            except ValueError:
                continue
    yield from _of_torchvision(weights)


def _of_torchvision(weights: Mapping[str, Tensor]) -> Iterator[BackboneConfig]:
    from engine.models.backbones._foreign import library

    begins = [
        begin
        for mark, family in _FAMILIES.items()
        if any(name.endswith(mark) for name in weights)
        for begin in family
    ]
    if not begins:
        return
    try:
        models = library("torchvision", "torchvision.models")
    except UserError:
        return
    for name in models.list_models(module=models):
        if name.startswith(tuple(begins)):
            yield BACKBONES["torchvision"].model_validate({"architecture": name})
