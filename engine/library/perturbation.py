"""perturb(model, x, y, threat): adversaries and anti-adversaries of any model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import UserError
from engine.lazy import F, torch
from engine.library.asked import device_of, require_classifier, threat_asked
from engine.library.images import ROOM, as_labels
from engine.models.modes import eval_mode, without_parameter_gradients
from engine.perturbation.norms import BALLS, require_within
from engine.perturbation.steps import perturb as walk
from engine.perturbation.steps import random_start
from engine.perturbation.threat import ThreatConfig
from engine.seeds import torch_stream

if TYPE_CHECKING:
    from torch import Tensor, nn

ADVERSARY, ANTI_ADVERSARY = "adversary", "anti-adversary"


def perturb(  # noqa: PLR0913 - what everybody gives by place, and what is left out most often
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    threat: ThreatConfig | Mapping[str, Any] | None = None,
    *,
    direction: str | Tensor = ADVERSARY,
    bounds: Tensor | None = None,
    seed: int = 0,
) -> Tensor:
    """Move images within a ball around each, so that a model's loss rises or falls.

    An adversary climbs the cross-entropy against the label, an anti-adversary descends it. The walk
    starts at random in the ball; the model is asked in eval mode, and stays as it is.

    Args:
        model: From images in [0, 1] to logits (B, C), with its normalisation inside.
        x: (B, channels, height, width) floats in [0, 1], or bytes.
        y: (B,) labels.
        threat: Norm, radius, and the steps of the walk, as ``[threat]`` of a scenario has them; by
            default 8/255 in l-inf, ten steps of a quarter of the radius.
        direction: ``"adversary"``, ``"anti-adversary"``, or (B,) bool: True for an adversary.
        bounds: (B,) radius of each image's own ball; by default the threat model's for all. A step
            is the same share of it for each image.
        seed: Of the random starts.

    Returns:
        The moved images, floats in [0, 1], of the shape of ``x`` and where it is.

    Raises:
        UserError: One of them does not go with the others.

    >>> from engine import load_data, perturb
    >>> import torch
    >>> data = load_data("digits")
    >>> x, y = data.x_test[:8] / 255, data.y_test[:8]
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    >>> loss = lambda images: torch.nn.functional.cross_entropy(model(images), y).item()
    >>> worse = perturb(model, x, y, {"epsilon": 0.1})
    >>> better = perturb(model, x, y, {"epsilon": 0.1}, direction="anti-adversary")
    >>> loss(better) < loss(x) < loss(worse)
    True
    >>> bool((worse - x).abs().max() <= 0.1 + 1e-6)
    True
    """
    config, device = threat_asked(threat), device_of(model)
    shown = _floats(x)
    labels = torch.from_numpy(as_labels("y", y, len(shown))).to(device)
    shown, home = shown.to(device), shown.device
    num_classes = require_classifier(model, shown)
    if int(labels.max()) >= num_classes:
        told = f"label {int(labels.max())} is no class of the model"
        raise UserError(f"y: {told}; allowed: 0 to {num_classes - 1}")
    radius = _radius(bounds, config, shown)
    share = config.step / config.epsilon if config.epsilon else 0.25
    ball, loss = BALLS[config.norm](shown, radius), partial(_losses, model, labels)
    first = random_start(
        ball, start="uniform", generator=torch_stream(seed, "perturb", device=device)
    )
    step = _signs(direction, len(shown)).to(device) * radius * share
    with eval_mode(model), without_parameter_gradients(model), torch.enable_grad():
        moved = walk(loss, ball, first, step=step, num_steps=config.num_steps)
    return moved.detach().to(home)


def _losses(model: nn.Module, y: Tensor, x: Tensor) -> Tensor:
    return F.cross_entropy(model(x), y, reduction="none")


def _floats(x: Any) -> Tensor:
    """Return images as floats in [0, 1], detached."""
    if not isinstance(x, torch.Tensor) or x.ndim != 4 or not x.numel():
        shape = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
        raise UserError(f"x: {shape} is no batch; give a tensor (B, channels, height, width)")
    if x.dtype == torch.uint8:
        return x / 255
    if not x.is_floating_point() or not bool(((x >= -ROOM) & (x <= 1 + ROOM)).all()):
        raise UserError("x: images are floats in [0, 1] or bytes; divide by 255 what is neither")
    return x.detach().float().clamp(0, 1)


def _radius(bounds: Any, threat: ThreatConfig, x: Tensor) -> Tensor:
    """Return each image's radius, (B,), where the images are."""
    given = threat.epsilon if bounds is None else bounds
    radius = torch.as_tensor(given, dtype=torch.float32, device=x.device)
    radius = radius.expand(len(x)) if bounds is None else radius
    if radius.shape != (len(x),):
        told = f"shape {tuple(radius.shape)} does not go with {len(x)} images"
        raise UserError(f"bounds: {told}; allowed: ({len(x)},)")
    if not bool((radius.isfinite() & (radius >= 0)).all()):
        raise UserError("bounds: a radius is a finite number; allowed: at least 0")
    try:
        require_within(float(radius.max()), threat.norm, x[0].numel())
    except ValueError as error:
        raise UserError(f"{'threat.epsilon' if bounds is None else 'bounds'}: {error}") from None
    return radius


def _signs(direction: Any, n: int) -> Tensor:
    """Return 1 for an adversary and -1 for an anti-adversary, (B,)."""
    if isinstance(direction, str) and direction in (ADVERSARY, ANTI_ADVERSARY):
        return torch.full((n,), 1.0 if direction == ADVERSARY else -1.0)
    if not isinstance(direction, str):
        climbs = torch.as_tensor(np.asarray(direction))
        if climbs.dtype == torch.bool and climbs.shape == (n,):
            return torch.where(climbs, 1.0, -1.0)
    raise UserError(
        f"direction: choose {ADVERSARY!r} or {ANTI_ADVERSARY!r}, or give ({n},) bool, True for an "
        "adversary"
    )
