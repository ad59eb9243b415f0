"""Why this weight: contributions are Shapley values, and add up to the difference."""

from itertools import permutations

import numpy as np
import pytest
import torch

from engine.inspection.contributions import _coalitions, explain, shapley_values
from engine.meta.characteristics import NAMES, Characteristics
from engine.methods.caat.config import CaatConfig
from engine.methods.caat.rl import CaatRlConfig
from engine.methods.meta_weight_net import MetaWeightNetConfig

CONFIGS = [CaatConfig(), CaatConfig(protocol="as-released"), CaatRlConfig(), MetaWeightNetConfig()]
LABELS = np.arange(60) % 3


def columns():
    rng = np.random.default_rng(0)
    found = {name: rng.normal(size=60).astype(np.float32) for name in NAMES}
    return found | {"class_loss": LABELS.astype(np.float32)}


def learned(config):
    network = config.learned_weight().network
    generator = torch.Generator().manual_seed(1)
    state = {
        f"method.network.{name}": torch.randn(value.shape, generator=generator)
        for name, value in network.state_dict().items()
    }
    return config.learned_weight(), state


def asked(weight, table):
    """The weights of rows of characteristics among all samples, one row at a time."""
    crowd = Characteristics(**{name: torch.from_numpy(v) for name, v in columns().items()})
    found = []
    for row in table:
        traits = [torch.tensor([value], dtype=torch.float32) for value in row]
        traits = Characteristics(**dict(zip(NAMES, traits, strict=True)))
        with torch.no_grad():
            found.append(weight.weight(traits, crowd).item())
    return np.array(found)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.label)
def test_contributions_are_the_mean_gain_over_all_orders_of_the_characteristics(config):
    weight, state = learned(config)
    found = explain(weight, state, columns(), labels=LABELS, row=7)
    own = np.array([columns()[name][7] for name in NAMES])
    mean = np.array([columns()[name][LABELS == 1].mean() for name in NAMES])
    table = np.array([[own[j] if k >> j & 1 else mean[j] for j in range(6)] for k in range(64)])
    value = asked(weight, table)
    expected = np.zeros(6)
    for order in permutations(range(6)):
        before = 0
        for player in order:
            expected[player] += value[before | 1 << player] - value[before]
            before |= 1 << player
    assert list(found.contributions.values()) == pytest.approx(expected / 720, abs=1e-6)
    assert sum(found.contributions.values()) == pytest.approx(found.weight - found.usual, abs=1e-12)
    assert (found.weight, found.usual) == pytest.approx((value[63], value[0]), abs=1e-6)
    assert found.quantity == weight.quantity


def test_what_a_class_shares_and_what_is_not_read_contribute_nothing():
    found = explain(*learned(CaatConfig()), columns(), labels=LABELS, row=4)
    assert found.contributions["class_loss"] == 0.0
    assert found.contributions["loss"] != 0.0
    loss_alone = explain(*learned(MetaWeightNetConfig()), columns(), labels=LABELS, row=4)
    assert [name for name, share in loss_alone.contributions.items() if share] == ["loss"]


def test_the_only_sample_of_a_class_is_its_mean_and_nothing_differs():
    labels = LABELS.copy()
    labels[5] = 9
    found = explain(*learned(CaatConfig()), columns(), labels=labels, row=5)
    assert set(found.contributions.values()) == {0.0}
    assert found.weight == found.usual
    assert found.values == found.means


def test_of_a_sum_each_player_gets_its_own_term_and_a_product_is_shared():
    coalitions = _coalitions(3)
    terms = coalitions @ np.array([1.0, -2.0, 5.0])
    assert shapley_values(terms, coalitions) == pytest.approx([1, -2, 5])
    both = (coalitions[:, 0] & coalitions[:, 1]).astype(float)
    assert shapley_values(both, coalitions) == pytest.approx([0.5, 0.5, 0])
