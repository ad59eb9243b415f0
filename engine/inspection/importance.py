"""How the weights depend on each characteristic: to look at, never to train."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.lazy import torch
from engine.meta.characteristics import NAMES, Characteristics
from engine.methods.base import LearnedWeight, Method
from engine.types import Columns, DeviceImages, FloatArray, under

if TYPE_CHECKING:
    from torch import Tensor

MAX_SAMPLES = 2048
"""A curve or an importance is the mean over so many samples at most."""


def partial_dependence(
    learned: LearnedWeight,
    state: dict[str, Tensor],
    columns: Columns,
    *,
    name: str,
    grid: FloatArray,
) -> FloatArray:
    """Return the mean weight, (G,), if every sample had the same value of one characteristic.

    Friedman 2001, Eq. 53: at each value the network is asked for all samples, whose other five
    characteristics stay. Means and deviations that the network standardises by are those of the
    samples as they are: a batch in which all have one value would standardise it away.

    Args:
        learned: The network of the run's method.
        state: Its method's state, as `EpochReport` carries it.
        columns: The six characteristics of the samples, (N,) each.
        name: The one that changes.
        grid: (G,) the values that it takes.
    """
    learned.network.load_state_dict(under("method.network.", state))
    step = -(-len(columns[name]) // MAX_SAMPLES)
    kept = {trait: torch.from_numpy(columns[trait][::step].copy()).float() for trait in NAMES}
    crowd, rows = Characteristics(**kept), len(kept[name])
    swept = {trait: values.repeat(len(grid)) for trait, values in kept.items()}
    swept[name] = torch.from_numpy(grid.astype(np.float32)).repeat_interleave(rows)
    with torch.no_grad():
        weight = learned.weight(Characteristics(**swept), crowd)
    return weight.view(len(grid), rows).mean(dim=1).numpy()


def permutation_importance(
    method: Method, images: DeviceImages, columns: Columns, *, rng: torch.Generator
) -> dict[str, float]:
    """Return how far the weights move when one characteristic changes hands (Breiman 2001).

    For each of the six: the mean over samples of |change of c| + |change of a| + |change of b|
    when its values are permuted among the samples and the other five stay. 0 means that the policy
    does not read it, or that all samples have the same.
    """
    chosen = torch.randperm(len(images), generator=rng, device=rng.device)[:MAX_SAMPLES]
    batch = images.batch(chosen)
    values = {name: torch.from_numpy(columns[name]).to(chosen.device)[chosen] for name in NAMES}
    shuffle = torch.randperm(len(chosen), generator=rng, device=rng.device)

    def weights(**changed: Tensor) -> Tensor:
        return method.assign(batch, Characteristics(**(values | changed))).weights

    before = weights()
    return {
        f"importance_{name}": (weights(**{name: value[shuffle]}) - before)
        .abs()
        .sum(dim=1)
        .mean()
        .item()
        for name, value in values.items()
    }
