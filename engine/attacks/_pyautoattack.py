"""AutoAttack by its authors' own package, kept quiet and to itself (Croce & Hein, ICML 2020)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from engine.attacks.base import Conditions, EvaluationAttack, num_classes_of
from engine.errors import UserError
from engine.lazy import nn, torch
from engine.types import DeviceImages

if TYPE_CHECKING:
    from torch import Tensor

MISSING = "AutoAttack needs a package that is not here: pip install 'caat-studio[autoattack]'"
MIN_CLASSES = 4
"""Fewer leave the targeted DLR loss without its third and fourth largest logit."""
MOST_TARGETS = 9
NORMS = {"linf": "Linf", "l2": "L2"}


@dataclass(frozen=True)
class Members:
    """Some of AutoAttack's attacks.

    Attributes:
        names: Of ``apgd-ce``, ``apgd-t``, ``fab-t`` and ``square``, in order.
        restarts: Random starts of APGD on the cross-entropy.
        num_queries: Of Square, for each image.
    """

    names: tuple[str, ...]
    restarts: int = 1
    num_queries: int = 5000


def packages() -> tuple[str, ...]:
    """Return the distributions that do the work.

    Raises:
        UserError: They are not installed.
    """
    if find_spec("pyautoattack") is None:
        raise UserError(MISSING)
    return ("pyautoattack",)


def num_targets(num_classes: int) -> int:
    """Return how many classes the targeted attacks aim at: nine, or all others where fewer."""
    return min(MOST_TARGETS, num_classes - 1)


def run_members(
    attack: EvaluationAttack,
    model: nn.Module,
    images: DeviceImages,
    *,
    conditions: Conditions,
    members: Members,
) -> Tensor:
    """Attack images with members of AutoAttack, one after the other, on what is left each time.

    What is drawn is what the package itself draws from this seed at this batch size.

    Args:
        attack: Whose norm and radius count.
        model: In eval mode; from images in [0, 1] to logits (B, C).
        images: N images with the labels to be missed.
        conditions: Seed, batch size and the way to stop.
        members: Which.

    Returns:
        The class (N,) that the model sees in what is made of each image.

    Raises:
        UserError: pyautoattack is not installed.
    """
    device = images.labels.device
    ensemble = _ensemble(_careful(model, conditions), attack, conditions.seed, device=device)
    ensemble.attacks_to_run = list(members.names)
    ensemble.apgd.n_restarts = members.restarts
    ensemble.square.n_queries = members.num_queries
    for targeted in (ensemble.apgd_targeted, ensemble.fab):
        targeted.n_target_classes = num_targets(num_classes_of(model, images))
    everything = images.batch(torch.arange(len(images), device=device))
    with _kept_to_itself(device):
        _, said = ensemble.run_standard_evaluation(
            everything.x, everything.y, batch_size=conditions.batch_size
        )
    found: Tensor = said
    return found


def _ensemble(
    model: nn.Module, attack: EvaluationAttack, seed: int, *, device: torch.device
) -> Any:
    packages()
    from pyautoattack import AutoAttack

    return AutoAttack(
        model,
        norm=NORMS[attack.norm],
        eps=attack.epsilon,
        seed=seed,
        device=device,
        version="standard",
    )


def _careful(model: nn.Module, conditions: Conditions) -> nn.Module:
    """Ask before each look whether to stop."""

    class Careful(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            conditions.check()
            logits: Tensor = model(x)
            return logits

    return Careful()


@contextmanager
def _kept_to_itself(device: torch.device) -> Iterator[None]:
    """Undo what the package does to its process: it seeds torch, logs and drops the tracer."""
    logger, tracer = logging.getLogger("auto-attack"), sys.gettrace()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        sys.settrace(tracer)
        logger.setLevel(level)
