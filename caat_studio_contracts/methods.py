"""What every training method promises, whatever the classes it meets."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from caat_studio_contracts.surroundings import (
    batch_of_three_classes,
    learner_of,
    step_of,
    traits_of,
)
from engine.evaluation.class_errors import ClassErrors
from engine.methods.base import Learner, Method, MethodConfig
from engine.types import Assignment, Batch

Build = Callable[[Learner], Method]
Reach = tuple[float, float]
ANY_BALL: Reach = (0.0, math.inf)
"""Narrowest and widest ball, in epsilons, of a method of which no more is known."""
LABELS: dict[str, Callable[[torch.Generator, int], Tensor]] = {
    "all of one class": lambda rng, c: torch.full((9,), c - 1),
    "some classes absent": lambda rng, c: torch.randint(max(1, c // 2), (9,), generator=rng),
    "one sample": lambda rng, c: torch.randint(c, (1,), generator=rng),
    "any": lambda rng, c: torch.randint(c, (9,), generator=rng),
}
"""Labels (B,) of a batch, of c classes."""
SPARSE = "some classes absent"
CASES = [*((c, labels) for c in (1, 2, 7) for labels in LABELS), (1000, SPARSE)]
"""Numbers of classes, each with labels of all kinds; of very many, most are absent anyway."""


def assigns_to_any_classes(build: Build, num_classes: int, labels: str, *, reach: Reach) -> None:
    """Weights and bounds are finite and not negative, in every epoch, for any labels."""
    rng = torch.Generator().manual_seed(num_classes)
    learner = learner_of(num_classes)
    method, errors = build(learner), None
    for epoch in range(1, learner.epochs + 1):
        method.start_epoch(epoch, errors)
        y = LABELS[labels](rng, num_classes)
        index = torch.arange(len(y)) % int(learner.class_counts.sum())
        batch = Batch(torch.rand(len(y), 1, 4, 4, generator=rng), y, index)
        learner.model.eval()  # one sample has no batch statistics
        step = step_of(method, learner, batch, epoch=epoch)
        _check(method.assign(batch, step.characteristics), learner, len(y), reach=reach)
        method.learn(step)
        _check(method.assign(batch, step.characteristics), learner, len(y), reach=reach)
        assert all(math.isfinite(value) for value in method.diagnostics().values())
        natural, boundary = torch.rand(2, num_classes, generator=rng) / 2
        errors = ClassErrors(natural, boundary)


def withstands_extreme_errors(build: Build, *, reach: Reach) -> None:
    """One class is always wrong, another always breaks, for 100 epochs: no promise is broken."""
    learner = learner_of(10)
    learner.epochs = 300
    with torch.no_grad():  # what a method looks at by itself is extreme too: all is class 3
        learner.model.get_parameter("backbone.4.bias")[3] = 50.0
    method = build(learner)
    natural, boundary = torch.zeros(10), torch.zeros(10)
    natural[3] = boundary[4] = 1.0
    batch = Batch(torch.rand(10, 1, 4, 4), torch.arange(10), torch.arange(10))
    traits = traits_of(learner, batch)
    for epoch in range(1, 101):
        method.start_epoch(epoch, ClassErrors(natural, boundary))
        _check(method.assign(batch, traits), learner, 10, reach=reach)
    assert all(value.isfinite().all() for value in method.state().values())
    assert all(math.isfinite(value) for value in method.diagnostics().values())


def what_it_has_learned_goes_round(build: Build) -> None:
    """A method that takes back its state goes on as the one that gave it."""
    learner, batch = learner_of(3), batch_of_three_classes()
    learner.model.eval()  # so that a step leaves no trace in the running statistics
    method, other = build(learner), build(learner)
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


def is_documented(config: type[MethodConfig]) -> None:
    """It names its paper with a year, and says what each field means."""
    first = (config.__doc__ or "").splitlines()[0]
    assert any(f"{year})" in first for year in range(1990, 2100)), first
    assert any(str(year) in config.paper for year in range(1990, 2100)), config.paper
    assert config.assigns
    for field, info in config.model_fields.items():
        assert info.description or field == "name", f"{field} has no description"


def _check(given: Assignment, learner: Learner, size: int, *, reach: Reach) -> None:
    for value in (given.clean, given.adversary, given.anti_adversary, given.bound):
        assert value.shape == (size,)
        assert value.dtype == torch.float32
        assert not value.requires_grad
        assert value.isfinite().all()
        assert (value >= 0).all()
    low, high = reach
    assert given.bound.min() >= low * learner.epsilon - 1e-6
    assert given.bound.max() <= high * learner.epsilon + 1e-6
    if given.step is not None:
        assert given.step.shape == (size,)
        assert (given.step > 0).all()
    assert (given.weights.sum(dim=1) > 0).any()
