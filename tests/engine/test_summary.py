import math

import numpy as np
import pytest

from engine.inspection.distributions import (
    ASSIGNMENT,
    NUM_QUANTILES,
    class_distributions,
    class_means,
)
from engine.meta.characteristics import NAMES

GIVEN = np.array([0, 0, 0, 1, 1, 3])
TRUE = np.array([0, 0, 1, 1, 1, 3])


def columns() -> dict[str, np.ndarray]:
    made = {name: np.linspace(0, 1, 6, dtype=np.float32) + i for i, name in enumerate(ASSIGNMENT)}
    return made | {"anti_adversary_weight": np.array([0.5, 0.51, 0.9, 0.0, 1.0, 0.2], np.float32)}


def test_a_distribution_is_numpys_quantiles_of_the_class():
    found = class_distributions(columns(), GIVEN, GIVEN, num_classes=4)
    assert len(found) == 3 * 4  # class 2 has no sample
    for one in found:
        values = columns()[one.quantity][one.class_index == GIVEN].astype(np.float64)
        assert one.n == len(values)
        assert one.mean == pytest.approx(values.mean())
        expected = [np.quantile(values, i / 40) for i in range(41)]
        assert len(one.quantiles) == NUM_QUANTILES == 41
        assert one.quantiles == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_characteristics_are_summarised_where_they_were_recorded():
    traits = {name: np.linspace(-1, 1, 6, dtype=np.float32) for name in NAMES}
    without = {one.quantity for one in class_distributions(columns(), GIVEN, TRUE, num_classes=4)}
    found = class_distributions(columns() | traits, GIVEN, TRUE, num_classes=4)
    assert {one.quantity for one in found} == without | set(NAMES)
    (margin,) = [
        one
        for one in found
        if (one.quantity, one.label_group, one.class_index) == ("margin", "clean", 0)
    ]
    assert margin.quantiles == pytest.approx(np.linspace(-1, -0.6, 41), abs=1e-6)


def test_quantiles_of_an_even_spread_are_its_values():
    values = np.arange(41.0)
    everywhere = dict.fromkeys(ASSIGNMENT, values)
    labels = np.zeros(41, dtype=np.int64)
    assert (
        class_distributions(everywhere, labels, labels, num_classes=1)[0].quantiles
        == values.tolist()
    )


def test_clean_and_flipped_labels_are_told_apart_only_where_there_is_noise():
    def groups(true: np.ndarray) -> set[str]:
        return {
            one.label_group for one in class_distributions(columns(), GIVEN, true, num_classes=4)
        }

    assert groups(GIVEN) == {"all"}
    assert groups(TRUE) == {"all", "clean", "flipped"}


def test_groups_hold_the_samples_that_their_names_say():
    found = class_distributions(columns(), GIVEN, TRUE, num_classes=4)
    n = {(one.label_group, one.class_index): one.n for one in found}
    assert n == {
        ("all", 0): 3,
        ("all", 1): 2,
        ("all", 3): 1,
        ("clean", 0): 2,
        ("clean", 1): 2,
        ("clean", 3): 1,
        ("flipped", 0): 1,
    }


def test_the_share_of_anti_adversaries_counts_weights_above_one_half():
    found = class_means(columns(), GIVEN, 4)
    assert found["anti_adversary_share"][:2] == pytest.approx([2 / 3, 1 / 2])
    assert found["anti_adversary_share"][3] == 0
    assert math.isnan(found["anti_adversary_share"][2])


def test_class_means_are_over_the_given_label():
    found = class_means(columns(), GIVEN, 4)
    for name in ASSIGNMENT:
        for label in (0, 1, 3):
            expected = columns()[name][label == GIVEN].astype(np.float64).mean()
            assert found[name][label] == pytest.approx(expected)
        assert all(type(value) is float for value in found[name])
