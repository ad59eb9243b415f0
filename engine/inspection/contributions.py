"""Why this weight? What each characteristic of a sample adds to it, against the mean of its class.

The contributions are Shapley values (1953; as explanations of a prediction: Lundberg and Lee 2017),
exact: six players have 64 coalitions, and the network is asked about all of them. A characteristic
outside a coalition has the mean of the samples with the same given label. They add up to the weight
of the sample less the weight at that mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from engine.lazy import torch
from engine.meta.characteristics import NAMES, Characteristics
from engine.methods.base import LearnedWeight
from engine.types import BoolArray, Columns, IntArray, under

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Explanation:
    """How a sample came to its weight.

    Attributes:
        quantity: Which weight it is: the network's own output.
        weight: What the network gives the sample among all samples.
        usual: What it would give a sample with the mean characteristics of the class.
        contributions: Of each characteristic; they add up to ``weight - usual``.
        values: The sample's characteristics.
        means: Those of its class.
    """

    quantity: str
    weight: float
    usual: float
    contributions: dict[str, float]
    values: dict[str, float]
    means: dict[str, float]


def explain(
    learned: LearnedWeight,
    state: dict[str, Tensor],
    columns: Columns,
    *,
    labels: IntArray,
    row: int,
) -> Explanation:
    """Explain the weight of one sample.

    Means and deviations that the network standardises by are those of all samples. In training they
    are those of a batch, so the recorded weight may differ a little from ``weight``.

    Args:
        learned: The network of the run's method.
        state: Its method's state, as `EpochReport` carries it.
        columns: The six characteristics of all samples, (N,) each.
        labels: (N,) given labels.
        row: The sample's place.
    """
    learned.network.load_state_dict(under("method.network.", state))
    own = np.array([columns[name][row] for name in NAMES], dtype=np.float64)
    members = labels == labels[row]
    mean = np.array([columns[name][members].mean(dtype=np.float64) for name in NAMES])
    coalitions = _coalitions(len(NAMES))
    outcomes = _asked(learned, np.where(coalitions, own, mean), columns)
    shares = shapley_values(outcomes, coalitions)
    return Explanation(
        learned.quantity,
        weight=float(outcomes[-1]),
        usual=float(outcomes[0]),
        contributions=dict(zip(NAMES, shares.tolist(), strict=True)),
        values=dict(zip(NAMES, own.tolist(), strict=True)),
        means=dict(zip(NAMES, mean.tolist(), strict=True)),
    )


def _coalitions(players: int) -> BoolArray:
    """(2^P, P): coalition k holds player j if bit j of k is set; none comes first, all last."""
    is_in: BoolArray = (np.arange(2**players)[:, None] >> np.arange(players)) & 1 == 1
    return is_in


def _asked(learned: LearnedWeight, table: Floats, columns: Columns) -> Floats:
    """Return the weights (K,) of rows of characteristics (K, 6) among all samples."""

    def as_traits(values: dict[str, npt.NDArray[np.float64]]) -> Characteristics:
        tensors = {name: torch.from_numpy(each.astype(np.float32)) for name, each in values.items()}
        return Characteristics(**tensors)

    crowd = as_traits({name: columns[name] for name in NAMES})
    with torch.no_grad():
        weight = learned.weight(as_traits(dict(zip(NAMES, table.T, strict=True))), crowd)
    found: Floats = weight.numpy().astype(np.float64)
    return found


def shapley_values(outcomes: Floats, coalitions: BoolArray) -> Floats:
    """Return the Shapley value of each player, (P,), from the outcome of every coalition.

    A player's is its mean gain over all orders in which the players may come: with s before it, the
    gain counts s! (P - s - 1)! / P! times.

    Args:
        outcomes: (2^P,) in the order of the coalitions.
        coalitions: (2^P, P) who is in each, as `_coalitions` orders them.
    """
    players = coalitions.shape[1]
    number = np.arange(len(outcomes))
    sizes = coalitions.sum(axis=1)
    times = [factorial(s) * factorial(players - s - 1) / factorial(players) for s in range(players)]
    found = np.empty(players)
    for player in range(players):
        without = number[~coalitions[:, player]]
        gain = outcomes[without + 2**player] - outcomes[without]
        found[player] = np.take(times, sizes[without]) @ gain
    return found
