import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from engine.inspection.importance import MAX_SAMPLES, partial_dependence
from engine.meta.characteristics import NAMES, Characteristics
from engine.methods.base import METHODS
from engine.methods.caat.config import CaatConfig
from engine.methods.caat.rl import CaatRlConfig
from engine.methods.meta_weight_net import MetaWeightNetConfig

CONFIGS = [CaatConfig(), CaatConfig(protocol="as-released", temperature=0.5), CaatRlConfig()]
GRID = np.linspace(-1, 2, 7, dtype=np.float32)


def columns(num=60):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=num).astype(np.float32) for name in NAMES}


def learned(config):
    """A network with parameters of its own, and the state of a checkpoint that holds them."""
    network = config.learned_weight().network
    generator = torch.Generator().manual_seed(1)
    state = {
        f"method.network.{name}": torch.randn(value.shape, generator=generator)
        for name, value in network.state_dict().items()
    }
    return config.learned_weight(), state | {"model.weight": torch.zeros(2)}


def by_hand(config, state, table):
    """The weight of rows of (n, 6), standardised by `columns`, in plain NumPy."""
    held = {name.split("network.")[-1]: value.numpy() for name, value in state.items()}
    crowd = np.stack([columns()[name] for name in NAMES], axis=1)
    normed = (table - crowd.mean(axis=0)) / np.sqrt(crowd.var(axis=0) + 1e-5)
    if config.label.startswith("caat (as-released"):
        normed[:, NAMES.index("entropy")] *= -1
        normed = held["gain"] * normed + held["shift"]
    hidden = np.maximum(normed @ held["hidden.weight"].T + held["hidden.bias"], 0)
    logits = hidden @ held["last.weight"].T + held["last.bias"]
    if config.name == "caat-rl":
        chances = 0.95 * softmax(logits, axis=1) + 0.05 / 10
        return chances[:, 5:].sum(axis=1)
    return softmax(logits / config.pace.temperature, axis=1)[:, 1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.label)
def test_partial_dependence_is_a_mean_over_samples_that_are_changed_one_by_one(config, name):
    found = partial_dependence(*learned(config), columns(), name=name, grid=GRID)
    expected = []
    for value in GRID:
        table = np.stack([columns()[trait] for trait in NAMES], axis=1).astype(np.float64)
        table[:, NAMES.index(name)] = value
        expected.append(by_hand(config, learned(config)[1], table).mean())
    assert found == pytest.approx(np.array(expected), abs=1e-5)


def test_a_sample_among_many_gets_what_training_would_give_it():
    config, (weight, state) = CaatConfig(), learned(CaatConfig())
    partial_dependence(weight, state, columns(), name="loss", grid=GRID)  # takes the state
    crowd = Characteristics(**{name: torch.from_numpy(v) for name, v in columns().items()})
    assert torch.equal(weight.weight(crowd, crowd), weight.network(crowd)[:, 1])
    assert config.learned_weight().quantity == "anti_adversary_weight"


def test_meta_weight_net_depends_on_the_loss_alone():
    weight, state = learned(MetaWeightNetConfig(hidden=5))
    held = {name.split("network.")[-1]: value.numpy() for name, value in state.items()}
    found = partial_dependence(weight, state, columns(), name="loss", grid=GRID)
    hidden = np.maximum(GRID[:, None] @ held["hidden.weight"].T + held["hidden.bias"], 0)
    assert found == pytest.approx(
        expit(hidden @ held["last.weight"].T + held["last.bias"])[:, 0], abs=1e-5
    )
    assert np.ptp(partial_dependence(weight, state, columns(), name="margin", grid=GRID)) == 0


def test_only_a_part_of_many_samples_is_asked():
    weight, state = learned(CaatConfig())
    many = columns(3 * MAX_SAMPLES)
    part = {name: values[::3] for name, values in many.items()}
    found = partial_dependence(weight, state, many, name="margin", grid=GRID)
    assert np.array_equal(found, partial_dependence(weight, state, part, name="margin", grid=GRID))


@pytest.mark.parametrize("name", METHODS.names())
def test_a_network_belongs_to_methods_that_learn_their_weights_sample_by_sample(name):
    weight = METHODS[name]().learned_weight()
    assert (weight is not None) == (name in ("caat", "caat-rl", "meta-weight-net"))
