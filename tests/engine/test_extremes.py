"""At the ends of every range a loss, a weight and a gradient still are finite numbers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.meta.characteristics import characteristics
from engine.meta.multipliers import limited, positive_class_weights
from engine.methods.mart import mart_loss
from engine.objective import Logits, Objective, losses_of, per_sample_losses
from engine.optim.config import clip
from engine.perturbation.norms import L2Ball
from engine.perturbation.threat import ThreatConfig
from engine.perturbation.training import TrainingAttack
from engine.types import Draw

BOTH = Objective(climbs="kl", start="normal", clean=True, anti_adversary=True)
edges = st.sampled_from([0.0, 1e-45, 1e-8, 0.5, 1 - 2**-24, 1.0])
logit = st.sampled_from([-1e30, -1e4, -200.0, -1.0, 0.0, 1.0, 200.0, 1e4, 1e30])
rows = st.lists(st.lists(logit, min_size=3, max_size=3), min_size=4, max_size=4)


def is_finite(*values: torch.Tensor) -> bool:
    return all(bool(value.isfinite().all()) for value in values)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(edges, st.booleans()), min_size=4, max_size=4), rows, rows)
def test_a_draw_of_any_chance_has_finite_losses_and_gradients(draws, clean, moved):
    probability = torch.tensor([chance for chance, _ in draws])
    drawn = torch.tensor([kind for _, kind in draws])
    said = [torch.tensor(each).clamp(-100, 100).requires_grad_() for each in (clean, moved)]
    losses = losses_of(
        Logits(said[0], said[1], None),
        torch.tensor([0, 1, 2, 0]),
        BOTH,
        draw=Draw(drawn, probability),
    )
    assert is_finite(losses, *torch.autograd.grad(losses.sum(), said))


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_a_copy_that_is_certain_counts_once_and_the_other_not_at_all(chance, conv_net, batch):
    attack = TrainingAttack(conv_net, ThreatConfig(num_steps=2), torch.Generator().manual_seed(0))
    log_p = conv_net(batch.x).log_softmax(dim=1).detach()
    bound, probability = torch.full((10,), 0.03), torch.full((10,), chance)
    copies = attack(batch, log_p, bound, objective=BOTH, step=None, probability=probability)
    assert copies.draw.is_adversary.tolist() == [chance == 1] * 10
    assert [scale.unique().tolist() for scale in copies.draw.scales] == [[chance], [1 - chance]]
    losses = per_sample_losses(conv_net, batch, copies, objective=BOTH)
    assert is_finite(losses, *torch.autograd.grad(losses.sum(), list(conv_net.parameters())))


@settings(max_examples=60, deadline=None)
@given(rows, rows, st.sampled_from([torch.float32, torch.bfloat16]))
def test_saturated_logits_have_finite_losses_traits_and_gradients(clean, moved, dtype):
    y = torch.tensor([0, 1, 2, 0])
    said = [torch.tensor(each).to(dtype).float().requires_grad_() for each in (clean, moved)]
    losses = losses_of(Logits(said[0], said[1], said[1]), y, BOTH)
    mart = mart_loss(said[1], said[0], y, beta=5.0)
    traits = characteristics(
        said[0], y, class_loss=torch.ones(3), class_counts=torch.tensor([4, 0, 1])
    ).table()
    assert is_finite(losses, mart, traits)
    for value in (losses, mart, traits):
        assert is_finite(
            *torch.autograd.grad(value.clamp(-1e4, 1e4).sum(), said, allow_unused=True)[:1]
        )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=100), st.floats(1e-9, 1 - 1e-9)
)
def test_no_limit_below_one_weighs_a_class_nothing(multipliers, limit):
    weights = positive_class_weights(limited(torch.tensor(multipliers), limit))
    assert is_finite(weights)
    assert (weights > 0).all()


@pytest.mark.parametrize("clip_norm", [1e-30, 1e-9, 1.0])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e15])
def test_clipping_and_its_derivative_are_finite_for_any_gradient(clip_norm, size):
    clipped, derivative = clip({"w": torch.full((3,), size)}, clip_norm)
    assert is_finite(clipped["w"], derivative({"w": torch.ones(3)})["w"])


@pytest.mark.parametrize("size", [0.0, 1e-45, 1e-30, 1e30])
def test_the_steepest_direction_is_finite_for_any_gradient(size):
    assert is_finite(L2Ball.steepest(torch.full((2, 1, 2, 2), size)))
