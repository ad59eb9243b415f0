"""AutoAttack by its authors' own package, kept quiet and to itself (Croce & Hein, ICML 2020)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
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
_MEMBERS = {"apgd-ce": "apgd", "apgd-t": "apgd_targeted", "fab-t": "fab", "square": "square"}
"""Where the package keeps its attacks."""


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
    clean: Tensor,
    conditions: Conditions,
    members: Members,
) -> Tensor:
    """Attack images with members of AutoAttack, one after the other, on what is left each time.

    What is drawn is what the package itself draws from this seed at this batch size.

    Args:
        attack: Whose norm and radius count.
        model: In eval mode; from images in [0, 1] to logits (B, C).
        images: N images with the labels to be missed.
        clean: (N,) class that the model sees in each image as it is.
        conditions: Seed, batch size and the way to stop.
        members: Which.

    Returns:
        The class (N,) that the model sees in what is made of each image.

    Raises:
        UserError: pyautoattack is not installed.
    """
    device = images.labels.device
    everything = images.batch(torch.arange(len(images), device=device))
    with _kept_to_itself(device):
        ensemble = _ensemble(_careful(model, conditions), attack, conditions.seed, device=device)
        ensemble.attacks_to_run = list(members.names)
        ensemble.apgd.n_restarts = members.restarts
        ensemble.square.n_queries = members.num_queries
        for targeted in (ensemble.apgd_targeted, ensemble.fab):
            targeted.n_target_classes = num_targets(num_classes_of(model, images))
        _Batches(ensemble, conditions, members, num_right=int((clean == images.labels).sum()))
        _, said = ensemble.run_standard_evaluation(
            everything.x, everything.y, batch_size=conditions.batch_size
        )
    found: Tensor = said
    return found


class _Batches:
    """Has each batch of each member answered from what is kept of it, if anything is.

    The package asks a member for moved images and then the model for their classes. Every batch
    seeds its own draws, so that one whose classes are kept need not be moved again.
    """

    def __init__(
        self, ensemble: Any, conditions: Conditions, members: Members, *, num_right: int
    ) -> None:
        """Put itself between the package and its members.

        Args:
            ensemble: The package's.
            conditions: Where batches are kept.
            members: Those that will attack.
            num_right: Images that are seen right without an attack.
        """
        self._logits, self._parts = ensemble.get_logits, conditions.parts
        self._num_members, self._num_right = len(members.names), num_right
        self._member, self._seen, self._of = -1, 0, 1
        self._said: Tensor | None = None
        ensemble.get_logits = self.logits
        for place, name in enumerate(members.names):
            member = getattr(ensemble, _MEMBERS[name])
            member.perturb = partial(self.moved, (place, member.perturb))

    def moved(self, member: tuple[int, Callable[..., Tensor]], x: Tensor, y: Tensor) -> Tensor:
        """Return what a member makes of a batch; where its classes are kept, the batch itself."""
        place, perturb = member
        if place != self._member:
            self._member, self._seen, self._of = place, 0, max(self._num_right, 1)
        self._seen += len(y)
        made = x

        def find() -> Tensor:
            nonlocal made
            made = perturb(x, y)
            said: Tensor = self._logits(made).max(dim=1)[1]
            return said

        share = (place + self._seen / self._of) / self._num_members
        self._said = self._parts.part(x, y, find, share=share)
        self._num_right -= int((self._said != y).sum())
        return made

    def logits(self, x: Tensor) -> Tensor:
        """Return the model's logits; of the batch that was just moved, its classes as such."""
        said, self._said = self._said, None
        logits: Tensor = self._logits(x) if said is None else nn.functional.one_hot(said)
        return logits


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
