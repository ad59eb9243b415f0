import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from engine.evaluation.class_errors import ClassErrors
from engine.meta.virtual_step import prediction_with
from engine.methods.base import METHODS
from engine.objective import per_sample_losses
from engine.perturbation import training
from engine.types import Batch

MULTIPLIERS = {
    "natural": torch.tensor([0.3, 0.0, 0.1]),
    "boundary": torch.tensor([0.0, 0.2, 0.3]),
    "margin": torch.tensor([0.25, -0.4, 3.0]),
}


@pytest.fixture
def caat_of(learner):
    def build(**fields):
        method = METHODS["caat"](**fields).build(learner)
        method.start_epoch(1, None)
        method.multipliers.load_state({name: v.clone() for name, v in MULTIPLIERS.items()})
        return method

    return build


def alpha_of(method, traits):
    with torch.no_grad():
        return method.network(traits)[:, 0]


@pytest.mark.parametrize("normalise", [True, False])
def test_the_loss_is_the_papers_three_terms(caat_of, learner, batch, step_of, normalise):
    caat = caat_of(normalise=normalise, beta=1.5)
    step = step_of(caat, learner, batch)
    found = (caat.assign(batch, step.characteristics).weights * step.losses).sum(dim=1).mean()

    alpha = alpha_of(caat, step.characteristics).tolist()
    l0, l1 = MULTIPLIERS["natural"].tolist(), MULTIPLIERS["boundary"].tolist()
    w0 = [1 / 3 + value - sum(l0) / 3 for value in l0]
    w1 = [1 / 3 + value - sum(l1) / 3 for value in l1]
    p, q, r = (
        learner.model(x).softmax(dim=1).tolist()
        for x in (batch.x, step.copies.adversary, step.copies.anti_adversary)
    )
    natural = boundary = anti = 0.0
    labels = batch.y.tolist()
    for i, y in enumerate(labels):
        divergence = sum(a * math.log(a / b) for a, b in zip(p[i], q[i], strict=True))
        natural += alpha[i] * w0[y] * -math.log(p[i][y])
        boundary += alpha[i] * w1[y] * divergence
        anti += (1 - alpha[i]) * -math.log(r[i][y])
    natural /= sum(w0[y] for y in labels)
    boundary /= sum(w1[y] for y in labels)
    scale = sum(alpha) / len(alpha) if normalise else 1
    expected = (natural + 1.5 * boundary) / scale + anti / len(labels)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_alpha_and_the_anti_adversary_weight_add_up_to_one(caat_of, learner, batch, traits_of):
    caat = caat_of(normalise=False)
    traits = traits_of(learner, batch)
    given = caat.assign(batch, traits)
    w0 = caat.multipliers.natural_weights()[batch.y]
    w1 = caat.multipliers.boundary_weights()[batch.y]
    from_clean = given.clean * w0.mean() / w0
    from_adversary = given.adversary * w1.mean() / w1 / 1.5
    torch.testing.assert_close(from_clean + given.anti_adversary, torch.ones(10))
    torch.testing.assert_close(from_adversary + given.anti_adversary, torch.ones(10))


@pytest.mark.parametrize("temperature", [1.0, 0.25, 4.0])
def test_at_the_start_most_weight_is_on_the_adversary_side(
    caat_of, learner, batch, traits_of, temperature
):
    alpha = alpha_of(caat_of(temperature=temperature), traits_of(learner, batch))
    assert 0.7 < alpha.mean() < 0.98


@pytest.mark.parametrize("temperature", [0.001, 0.1, 0.3, 1.0, 30.0])
def test_the_start_of_a_network_is_the_same_alpha_at_every_temperature(
    caat_of, learner, batch, traits_of, temperature
):
    """A sample of which the network says nothing has alpha = softmax(2, 0)."""
    caat = caat_of(temperature=temperature)
    with torch.no_grad():
        caat.network.last.weight.zero_()
    alpha = alpha_of(caat, traits_of(learner, batch))
    torch.testing.assert_close(alpha, torch.full((10,), 1 / (1 + math.exp(-2))))


def test_the_start_at_the_default_temperature_is_two_to_the_last_bit(caat_of):
    assert caat_of().network.last.bias.tolist() == [2.0, 0.0]


def test_a_bound_is_epsilon_or_that_of_its_class(caat_of, learner, batch, traits_of):
    traits = traits_of(learner, batch)
    bound = {
        name: caat_of(bounds=name).assign(batch, traits).bound for name in ("fixed", "remargin")
    }
    torch.testing.assert_close(bound["fixed"], torch.full((10,), 0.1))
    factors = [min(max(math.exp(2 * v), 0.98), 2.5) for v in (0.25, -0.4, 3.0)]
    expected = torch.tensor([0.1 * factors[label] for label in batch.y.tolist()])
    torch.testing.assert_close(bound["remargin"], expected)


def test_a_bound_by_gradient_norm_is_between_half_and_one_and_a_half_epsilon(
    caat_of, learner, batch, traits_of
):
    norms = torch.tensor([0.1, 0.2, 0.8, 0.9, 1.0, 1.0, 1.1, 1.2, 1.3, 2.4])  # mean 1
    traits = replace(traits_of(learner, batch), gradient_norm=norms)
    bound = caat_of(bounds="grad").assign(batch, traits).bound
    expected = [0.05, 0.05, 0.08, 0.09, 0.1, 0.1, 0.11, 0.12, 0.13, 0.15]
    torch.testing.assert_close(bound, torch.tensor(expected))


def test_assigning_sends_no_gradient_to_the_model(caat_of, learner, batch, step_of):
    caat = caat_of(meta_batch_size=12)
    step = step_of(caat, learner, batch)
    given = caat.assign(batch, step.characteristics)
    assert not step.characteristics.table().requires_grad
    assert not given.weights.requires_grad
    assert not given.bound.requires_grad
    caat.learn(step)
    assert all(parameter.grad is None for parameter in learner.model.parameters())


def test_learning_changes_the_weights_of_the_same_batch(caat_of, learner, batch, step_of):
    caat = caat_of()
    step = step_of(caat, learner, batch)
    before = caat.assign(batch, step.characteristics)
    assert caat.learn(step)
    after = caat.assign(batch, step.characteristics)
    assert (before.anti_adversary - after.anti_adversary).abs().min() > 0
    assert caat.diagnostics()["meta_gradient_norm"] > 0


def test_what_is_learned_lowers_the_meta_loss_after_the_next_step(caat_of, learner, batch, step_of):
    caat = caat_of(meta_lr=1e-3, meta_batch_size=12, meta_weight_decay=0)
    step = step_of(caat, learner, batch)
    parameters = dict(learner.model.named_parameters())

    def meta_loss() -> float:
        """Clean and robust loss of the meta set after one plain step with the present weights."""
        weights = caat.assign(batch, step.characteristics).weights
        loss = (weights * step.losses).sum(dim=1).mean()
        slope = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True)
        landed = {
            n: p.detach() - 0.1 * g for (n, p), g in zip(parameters.items(), slope, strict=True)
        }
        predict = prediction_with(learner.model, landed, train=False)
        losses = per_sample_losses(
            predict, learner.meta, copies, objective=caat.meta_loss.objective
        )
        w0 = caat.multipliers.natural_weights()[learner.meta.y]
        w1 = caat.multipliers.boundary_weights()[learner.meta.y]
        natural = (w0 * losses[:, 0]).sum() / w0.sum()
        return (natural + 1.5 * (w1 * losses[:, 1]).sum() / w1.sum()).item()

    log_p = learner.log_probabilities(learner.meta.x)
    bound = torch.full((12,), 0.1)
    copies = learner.attack(learner.meta, log_p, bound, objective=caat.meta_loss.objective)
    before = meta_loss()
    for _ in range(20):
        caat.learn(step)
    assert meta_loss() < before


def landing(learner, loss):
    """Write the next step of SGD out: Nesterov with a past, and weight decay."""
    parameters, landed = dict(learner.model.named_parameters()), {}
    slopes = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
    for (name, value), slope in zip(parameters.items(), slopes, strict=True):
        way = slope + 0.05 * value.detach()
        past = learner.optimizer.state[value]["momentum_buffer"]
        landed[name] = value.detach() - 0.1 * (way + 0.9 * (way + 0.9 * past))
    return landed


def meta_loss_at(landed, model, meta, x_adv, weights, beta):
    """Write the meta loss out, with batch norm by its running statistics."""
    model.eval()
    log_p, log_q = (
        functional_call(model, landed, (x,)).log_softmax(dim=1) for x in (meta.x, x_adv)
    )
    model.train()
    natural = -log_p[torch.arange(len(meta)), meta.y]
    divergence = (log_p.exp() * (log_p - log_q)).sum(dim=1)
    w0, w1 = (weight[meta.y] for weight in weights)
    return (w0 * natural).sum() / w0.sum() + beta * (w1 * divergence).sum() / w1.sum()


@pytest.mark.parametrize("normalise", [True, False])
def test_the_network_learns_by_the_gradient_of_the_meta_loss_after_the_optimisers_next_step(
    caat_of, learner, batch, step_of, normalise
):
    model, beta = learner.model.double().train(), 1.7
    learner.optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05
    )
    learner.meta = Batch(learner.meta.x.double(), learner.meta.y, learner.meta.index)
    batch = Batch(batch.x.double(), batch.y, batch.index)
    caat = caat_of(normalise=normalise, beta=beta, meta_batch_size=7, meta_weight_decay=0)
    caat.network.double()
    F.cross_entropy(model(batch.x.flip(0)), batch.y).backward()
    learner.optimizer.step()
    step = step_of(caat, learner, batch)
    meta = caat.meta.batch()
    caat.meta.start_epoch(1)  # the same draw again
    log_p = learner.log_probabilities(meta.x)
    bound = 0.1 * caat.multipliers.bound_factors(0.98, 2.5)[meta.y]
    learner.attack.rng.manual_seed(4)
    x_adv = learner.attack(meta, log_p, bound, objective=caat.meta_loss.objective).adversary

    alpha = caat.network(step.characteristics)[:, 0]
    up = alpha / (alpha.detach().mean() if normalise else 1)
    weights = caat.multipliers.natural_weights(), caat.multipliers.boundary_weights()
    c, a = (up * w[batch.y] / w[batch.y].mean() for w in weights)
    loss = (torch.stack([c, beta * a, 1 - alpha], dim=1) * step.losses).sum() / 10
    meta_loss = meta_loss_at(landing(learner, loss), model, meta, x_adv, weights, beta)
    expected = torch.autograd.grad(meta_loss, list(caat.network.parameters()), retain_graph=True)

    learner.attack.rng.manual_seed(4)
    assert caat.learn(step)
    for parameter, gradient in zip(caat.network.parameters(), expected, strict=True):
        assert gradient.norm() > 0
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-5, atol=1e-12)


def test_a_meta_step_is_taken_every_so_many_batches(caat_of, learner, batch, step_of):
    caat = caat_of(meta_every=3)
    taken = [caat.learn(step_of(caat, learner, batch, number)) for number in range(7)]
    assert taken == [True, False, False, True, False, False, True]


def test_a_temperature_of_a_thousandth_saturates_every_weight(caat_of, learner, batch, step_of):
    step = step_of(caat_of(), learner, batch)
    shares = {}
    for temperature in (0.001, 1.0):
        caat = caat_of(temperature=temperature)
        caat.learn(step)
        shares[temperature] = caat.diagnostics()["saturation_share"]
    assert shares[0.001] >= 0.9
    assert shares[1.0] <= 0.1


def test_the_class_multipliers_wait_for_their_share_of_the_run(caat_of):
    caat = caat_of(fairness_from=0.5)  # of four epochs
    errors = ClassErrors(torch.tensor([0.9, 0.1, 0.1]), torch.tensor([0.0, 0.5, 0.0]))
    moved = []
    for epoch in (1, 2, 3, 4):
        before = caat.multipliers.margin.clone()
        caat.start_epoch(epoch, None if epoch == 1 else errors)
        moved.append(not torch.equal(before, caat.multipliers.margin))
    assert moved == [False, False, True, True]


def test_the_state_goes_round_with_adams_moments(caat_of, learner, batch, step_of):
    caat, other = caat_of(), caat_of()
    step = step_of(caat, learner, batch)
    caat.learn(step)
    state = {name: value.clone() for name, value in caat.state().items()}
    other.load_state({name: value.clone() for name, value in state.items()})
    for method in (caat, other):
        method.start_epoch(2, None)
        learner.attack.rng.manual_seed(9)
        method.learn(step)
    assert any(not torch.equal(state[name], value) for name, value in caat.state().items())
    for name, value in caat.state().items():
        assert torch.equal(value, other.state()[name]), name


def test_a_class_weight_can_never_be_zero_or_less():
    with pytest.raises(ValueError, match="less than 1"):
        METHODS["caat"](multiplier_limit=1.0)


def test_a_batch_of_equal_samples_gets_equal_finite_weights(caat_of, batch, learner, traits_of):
    traits = traits_of(learner, batch)
    table = {name: getattr(traits, name)[:1].expand(10) for name in vars(traits)}
    given = caat_of().assign(batch, type(traits)(**table))
    assert given.weights.isfinite().all()
    assert given.anti_adversary.unique().numel() == 1


def test_a_prediction_that_underflows_still_gets_finite_weights(caat_of, learner, batch, step_of):
    with torch.no_grad():
        learner.model.backbone[-1].bias.copy_(torch.tensor([0.0, 300.0, -300.0]))
    caat = caat_of()
    step = step_of(caat, learner, batch)
    assert step.characteristics.table().isfinite().all()
    caat.learn(step)
    assert caat.assign(batch, step.characteristics).weights.isfinite().all()


def test_the_attack_on_the_meta_images_can_have_steps_of_its_own(
    caat_of, learner, batch, step_of, monkeypatch
):
    """Each is 2.5 / steps of the bound long, so that their walk still spans the ball."""
    asked = []
    walk = training.perturb

    def watched(loss, ball, first, *, step, num_steps):
        asked.append((num_steps, step))
        return walk(loss, ball, first, step=step, num_steps=num_steps)

    monkeypatch.setattr(training, "perturb", watched)
    for meta_num_steps in (None, 5):
        caat = caat_of(meta_num_steps=meta_num_steps, bounds="fixed")
        caat.learn(step_of(caat, learner, batch))
    trained, as_trained, again, own = asked
    assert trained[0] == as_trained[0] == again[0] == 3
    torch.testing.assert_close(as_trained[1], torch.full((12,), 0.025))
    assert own[0] == 5
    torch.testing.assert_close(own[1], torch.full((12,), 0.05))
