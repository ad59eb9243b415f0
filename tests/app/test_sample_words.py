"""What the sample pages say in words: who got what, and how a weight moves along a trait."""

import numpy as np
import pandas as pd
import pytest

from app.samples.words import detected, followed, follows, headline
from engine.inspection.label_noise import roc


def along(*weights: float) -> pd.DataFrame:
    """The mean weight at a loss of 0.5, 1.5, ..., in the order of a database, which is none."""
    x = [0.5 + place for place in range(len(weights))]
    table = pd.DataFrame({"layer": "mean", "x": x, "y": weights})
    cloud = pd.DataFrame({"layer": "samples", "x": [9.0], "y": [9.0]})
    return pd.concat([cloud, table.iloc[::-1]])


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ((0.2, 0.3, 0.4), "rises from 0.2 to 0.4"),
        ((0.4, 0.3, 0.1), "falls from 0.4 to 0.1"),
        ((0.2, 0.5, 0.4), "rises from 0.2 to 0.4, not steadily"),
        ((0.4, 0.1, 0.2), "falls from 0.4 to 0.2, not steadily"),
    ],
)
def test_a_weight_rises_or_falls_by_its_ends_and_steadily_only_if_it_never_turns(weights, said):
    line = followed(along(*weights), "anti_adversary_weight", "loss")
    assert (
        line
        == f"With loss from 0.5 to {len(weights) - 0.5:g} the mean anti-adversary weight {said}"
    )


@pytest.mark.parametrize("weights", [(0.3, 0.3, 0.3), (0.3,), (0.0, 0.0)])
def test_a_weight_that_is_alike_everywhere_or_known_once_does_not_change(weights):
    line = followed(along(*weights), "anti_adversary_weight", "loss")
    assert line == "Anti-adversary weight does not change with loss"


UNEVEN = pd.DataFrame(
    {
        "label_group": "all",
        "class": ["plane", "car", "bird", "cat"],
        "part": ["head", "head", "tail", "tail"],
        "n": [100, 50, 10, 30],
        "mean": [0.1, 0.4, 0.9, 0.5],
        "quantiles": [[0.0, 1.0]] * 4,
    }
)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        (["head", "tail"], "Tail classes get mean anti-adversary weight 0.6, head classes 0.2"),
        (["head"], "Mean anti-adversary weight 0.2"),
        (["tail"], "Mean anti-adversary weight 0.6"),
    ],
)
def test_head_and_tail_are_set_against_each_other_where_classes_of_both_are_looked_at(sizes, said):
    shown = UNEVEN[UNEVEN["part"].isin(sizes)]
    assert headline(shown, "anti_adversary_weight", "caat", found=None) == said


def with_offset(offset: float):
    """Twenty samples of two classes, a wrong label above every right one of its class."""
    labels, flipped = np.repeat([0, 1], 10), np.tile(np.arange(10) < 3, 2)
    weight = offset * labels + flipped + np.tile(np.linspace(0, 0.5, 10), 2)
    return roc("anti_adversary_weight", weight, flipped, labels=labels)


def test_a_weight_that_follows_the_class_first_is_told_so_with_both_areas():
    said = follows(with_offset(5.0), "anti_adversary_weight")
    assert said.startswith(
        "Anti-adversary weight follows the class first: 98 % of its variance lies between the "
        "given labels. Over all samples the AUC is 0.75 (95 %: 0."
    )
    assert "within a class 1.00 (95 %: 0." in said
    assert said.endswith(" to 1.00), so compare samples of one class.")
    line = detected({"anti_adversary_weight": with_offset(5.0)}, "anti_adversary_weight")
    assert line.endswith("with AUC 0.75 over all, 1.00 within a class")


def test_a_weight_that_follows_the_sample_first_is_told_so():
    said = follows(with_offset(0.0), "anti_adversary_weight")
    assert "follows the sample first: 0 %" in said
    assert "compare samples of one class" not in said
