"""How a model stands what it was not trained for: other threats, and common corruptions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from benchmarks.method_settings import EPSILON
from engine.attacks.base import Conditions
from engine.attacks.pgd import Pgd
from engine.data.preparation import shuffled_by_class
from engine.evaluation.evaluate import examine
from engine.models.modes import eval_mode
from engine.types import FloatArray, ImageSet

OTHER_THREATS = {
    "l-inf, radius 1.5 times": Pgd(norm="linf", epsilon=1.5 * EPSILON),
    "l2, radius 1.5": Pgd(norm="l2", epsilon=1.5),
}
"""What no run was trained for: PGD-20, of the same norm and of another."""
TRANSFER_SIZE = 2000
"""Test images, stratified, that the other threats and the corruptions are tried on."""
SEVERITIES = range(1, 6)
CORRUPTIONS: dict[str, Callable[[FloatArray, int, np.random.Generator], FloatArray]] = {
    "noise": lambda x, s, rng: x + rng.normal(0, 0.06 * s, x.shape),
    "impulses": lambda x, s, rng: np.where(rng.random(x.shape) < 0.03 * s, rng.random(x.shape), x),
    "blur": lambda x, s, rng: gaussian_filter(x, (0, 0, 0.35 * s, 0.35 * s)),
    "contrast": lambda x, s, rng: x.mean((2, 3), keepdims=True) * 0.16 * s + x * (1 - 0.16 * s),
    "brightness": lambda x, s, rng: x + 0.1 * s,
    "pixelate": lambda x, s, rng: _pixelated(x, 1 + s),
}
"""Kinds of common corruption (after Hendrycks and Dietterich, ICLR 2019), severities 1 to 5; the
strengths are our own, as theirs are for larger images."""


def _pixelated(x: FloatArray, size: int) -> FloatArray:
    """Return images (N, channels, h, w) in squares of so many pixels, each its own mean."""
    rows, columns = (np.arange(n) // size for n in x.shape[2:])
    found = np.empty_like(x)
    for row in np.unique(rows):
        for column in np.unique(columns):
            square = np.ix_(rows == row, columns == column)
            found[:, :, *square] = x[:, :, *square].mean((2, 3), keepdims=True)
    return found


def transferred(model: nn.Module, test: ImageSet, num_classes: int) -> dict[str, float]:
    """Return average and worst-class error of the final model under what it was not trained for."""
    piles = shuffled_by_class(test.labels, num_classes, np.random.default_rng(0))
    some = np.sort(np.concatenate([pile[: TRANSFER_SIZE // len(piles)] for pile in piles]))
    images, device = test.take(some), torch.device("cpu")
    conditions = Conditions(seed=0, batch_size=250)
    found: dict[str, float] = {}

    def tell(name: str, wrong: npt.NDArray[Any]) -> None:
        found[name] = float(wrong.mean())
        each = [wrong[images.labels == label].mean() for label in range(len(piles))]
        found[f"worst {name}"] = float(max(each))

    for name, attack in OTHER_THREATS.items():
        outcomes = examine(model, images, attack, conditions=conditions, device=device)
        tell(name, outcomes.robust)
    pixels = images.images.astype(np.float64) / 255
    for severity in SEVERITIES:
        wrong = []
        for kind in CORRUPTIONS.values():
            x = kind(pixels, severity, np.random.default_rng(severity)).clip(0, 1)
            with torch.no_grad(), eval_mode(model):
                said = model(torch.from_numpy(x).float()).argmax(dim=1).numpy()
            wrong.append(said != images.labels)
        tell(f"corruptions, severity {severity}", np.stack(wrong).mean(axis=0))
    return found
