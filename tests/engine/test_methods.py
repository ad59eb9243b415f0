"""What every method promises, whatever the classes it meets."""

import math

import pytest
import torch

from engine.evaluation.class_errors import ClassErrors
from engine.methods.base import METHODS
from engine.types import Batch

NO_BALL, OWN_BALL = (0.0, 0.0), (1.0, 1.0)
REACH = {
    "standard": NO_BALL,
    "meta-weight-net": NO_BALL,
    "caat": (0.98, 2.5),
    "caat-rl": (0.5, 1.5),
    "caat as-released": (1.25 * 0.98, 1.25 * 2.5),
    "cfa": (0.3, 1.3),
    "dafa": (0.05, 2.0),
    "trix": (0.05, 2.0),
    "frl-remargin": (0.98, 2.5),
    "frl-reweight-remargin": (0.98, 3.0),
}
"""Narrowest and widest ball, in epsilons."""
EAGER = {"fairness_from": 0.0, "warm_up": 0.3, "meta_every": 1, "hidden": 8, "slack": 0.0}


OTHER_WAYS = {
    "caat as-released": {"protocol": "as-released"},
    "caat hedge": {"prices": "hedge", "eta": 2.0, "normalise_prices": False},
    "caat group-dro": {"prices": "group-dro", "eta": 2.0, "shrink": True},
    "caat none": {"prices": "none"},
    "caat worst-class": {"meta_objective": "worst-class"},
    "caat-rl fixed": {"bounds": "fixed", "prices": "group-dro"},
}
"""Fields that make another policy of CAAT."""
POLICIES = [*METHODS.names(), *OTHER_WAYS]


def build(name, learner):
    config = METHODS[name.split()[0]]
    eager = {k: v for k, v in EAGER.items() if k in config.model_fields}
    if name == "caat-weighted":
        del eager["slack"]  # its prices and bounds do not read it
    return config(**eager, **OTHER_WAYS.get(name, {})).build(learner)


def check(name, given, learner, size):
    for value in (given.clean, given.adversary, given.anti_adversary, given.bound):
        assert value.shape == (size,)
        assert value.dtype == torch.float32
        assert not value.requires_grad
        assert value.isfinite().all()
        assert (value >= 0).all()
    low, high = REACH.get(name) or REACH.get(name.split()[0], OWN_BALL)
    assert given.bound.min() >= low * learner.epsilon - 1e-6
    assert given.bound.max() <= high * learner.epsilon + 1e-6
    if given.step is not None:
        assert given.step.shape == (size,)
        assert (given.step > 0).all()
    assert (given.weights.sum(dim=1) > 0).any()


LABELS = {
    "all of one class": lambda rng, c: torch.full((9,), c - 1),
    "some classes absent": lambda rng, c: torch.randint(max(1, c // 2), (9,), generator=rng),
    "one sample": lambda rng, c: torch.randint(c, (1,), generator=rng),
    "any": lambda rng, c: torch.randint(c, (9,), generator=rng),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
@pytest.mark.parametrize("num_classes", [1, 2, 7, 1000])
@pytest.mark.parametrize("name", POLICIES)
def test_assignments_keep_their_promises_for_any_classes(
    name, num_classes, labels, learner_of, traits_of, step_of
):
    rng = torch.Generator().manual_seed(num_classes)
    learner = learner_of(num_classes)
    method, errors = build(name, learner), None
    for epoch in range(1, learner.epochs + 1):
        method.start_epoch(epoch, errors)
        y = labels(rng, num_classes)
        index = torch.arange(len(y)) % int(learner.class_counts.sum())
        batch = Batch(torch.rand(len(y), 1, 4, 4, generator=rng), y, index)
        learner.model.eval()  # one sample has no batch statistics
        step = step_of(method, learner, batch, epoch=epoch)
        check(name, method.assign(batch, step.characteristics), learner, len(y))
        method.learn(step)
        check(name, method.assign(batch, step.characteristics), learner, len(y))
        assert all(math.isfinite(value) for value in method.diagnostics().values())
        shares = torch.rand(2, num_classes, generator=rng) / 2
        errors = ClassErrors(*shares)


@pytest.mark.parametrize("name", POLICIES)
def test_errors_that_stay_extreme_for_a_whole_run_break_no_promise(name, learner_of, traits_of):
    learner = learner_of(10)
    learner.epochs = 300
    with torch.no_grad():  # what a method looks at by itself is extreme too: all is class 3
        learner.model.backbone[-1].bias[3] = 50.0
    method = build(name, learner)
    natural = torch.zeros(10)
    natural[3] = 1.0
    boundary = torch.zeros(10)
    boundary[4] = 1.0
    batch = Batch(torch.rand(10, 1, 4, 4), torch.arange(10), torch.arange(10))
    traits = traits_of(learner, batch)
    for epoch in range(1, 101):
        method.start_epoch(epoch, ClassErrors(natural, boundary))
        check(name, method.assign(batch, traits), learner, 10)
    assert all(value.isfinite().all() for value in method.state().values())
    assert all(math.isfinite(value) for value in method.diagnostics().values())


@pytest.mark.parametrize("name", POLICIES)
def test_what_a_method_has_learned_goes_round(name, learner, batch, traits_of, step_of):
    learner.model.eval()  # so that a step leaves no trace in the running statistics
    method, other = build(name, learner), build(name, learner)
    errors = ClassErrors(torch.tensor([0.6, 0.2, 0.1]), torch.tensor([0.1, 0.5, 0.2]))
    for epoch in (1, 2):
        method.start_epoch(epoch, errors if epoch > 1 else None)
        method.learn(step_of(method, learner, batch, epoch=epoch))
    state = {key: value.clone() for key, value in method.state().items()}
    other.load_state({key: value.clone() for key, value in state.items()})
    given = []
    for policy in (method, other):
        learner.attack.rng.manual_seed(8)
        policy.start_epoch(3, errors)
        step = step_of(policy, learner, batch, epoch=3)
        policy.learn(step)
        given.append(policy.assign(batch, step.characteristics))
        assert policy.state().keys() == state.keys()
    assert torch.equal(given[0].weights, given[1].weights)
    assert torch.equal(given[0].bound, given[1].bound)


@pytest.mark.parametrize("name", METHODS.names())
def test_a_method_is_documented_with_its_paper_and_every_field_with_its_meaning(name):
    config = METHODS[name]
    first = (config.__doc__ or "").splitlines()[0]
    assert any(f"{year})" in first for year in range(1990, 2030)), first
    assert any(str(year) in config.paper for year in range(1990, 2030)), config.paper
    assert config.assigns
    for field, info in config.model_fields.items():
        assert info.description or field == "name"


@pytest.mark.parametrize("name", ["standard", "meta-weight-net"])
def test_clean_training_runs_no_attack(name, learner, batch, step_of, monkeypatch):
    def attacked(*arguments, **options):
        raise AssertionError("an attack was run")

    monkeypatch.setattr("engine.perturbation.training.perturb", attacked)
    method = build(name, learner)
    method.start_epoch(1, None)
    step = step_of(method, learner, batch)
    assert step.copies.adversary is None
    assert step.adversary_logits is None
    method.learn(step)


def test_standard_training_is_the_mean_cross_entropy(learner, batch, step_of):
    method = build("standard", learner)
    learner.model.eval()
    step = step_of(method, learner, batch)
    loss = (method.assign(batch, None).weights * step.losses).sum(dim=1).mean()
    expected = torch.nn.functional.cross_entropy(learner.model(batch.x), batch.y)
    torch.testing.assert_close(loss, expected)
