"""What a scenario will do to the labels, worked out before anything is launched."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from engine.data import preparation
from engine.realised import realised
from engine.scenario import Scenario


def noise_matrix(scenario: Scenario) -> npt.NDArray[np.float64]:
    """Return P(given label | true label), (C, C), as the run will draw it."""
    return preparation.noise_matrix(scenario.data, scenario.seed)


def foreseen(scenario: Scenario) -> dict[str, Any]:
    """Return what the scenario's fields lead to together (`engine.realised`)."""
    return realised(scenario, scenario.training_counts())


def wrong_share(scenario: Scenario) -> float:
    """Return the share of training labels that are expected to be wrong."""
    table = class_counts_table(scenario)
    flipped = float(table["flipped"].sum())
    return flipped / (flipped + float(table["clean"].sum()))


def class_counts_table(scenario: Scenario) -> pd.DataFrame:
    """Return, per given label, the samples that are expected to belong there and those that not."""
    noisy = preparation.training_counts(scenario.data, scenario.seed)
    expected = noisy[:, None] * noise_matrix(scenario)
    clean = np.diag(expected)
    return pd.DataFrame(
        {
            "class": scenario.data.source.class_names,
            "clean": clean + (scenario.training_counts() - noisy),
            "flipped": expected.sum(axis=0) - clean,
        }
    )


def transition_table(scenario: Scenario) -> pd.DataFrame:
    """Return the noise matrix with one row per pair of classes."""
    names = scenario.data.source.class_names
    matrix = noise_matrix(scenario)
    pairs = [(true, given) for true in names for given in names]
    table = pd.DataFrame(pairs, columns=["true", "given"])
    return table.assign(probability=matrix.ravel())
