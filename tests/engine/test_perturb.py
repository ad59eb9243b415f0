from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from engine.objective import Objective
from engine.perturbation.norms import BALLS, LinfBall
from engine.perturbation.steps import perturb, random_start
from engine.perturbation.threat import ThreatConfig
from engine.perturbation.training import TrainingAttack
from engine.types import Batch

BOUNDS = torch.tensor([0.0, 0.02, 0.1, 0.3, 0.0, 0.05, 0.1, 0.02, 0.3, 0.1])
MOVES = BOUNDS > 0
ORDER = {"linf": float("inf"), "l2": 2}
BOTH = Objective(climbs="kl", start="normal", clean=True, anti_adversary=True)


def cross_entropy(model: nn.Module, y: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: F.cross_entropy(model(x), y, reduction="none")


@settings(max_examples=60, deadline=None)
@given(
    bounds=st.lists(st.just(0.0) | st.floats(0, 2, width=32), min_size=1, max_size=5),
    seed=st.integers(0, 2**31),
    norm=st.sampled_from(["linf", "l2"]),
    start=st.sampled_from(["uniform", "normal"]),
    length=st.floats(-0.5, 0.5),
)
def test_a_copy_stays_in_its_own_ball_and_among_images(bounds, seed, norm, start, length):
    rng = torch.Generator().manual_seed(seed)
    epsilon = torch.tensor(bounds)
    x = torch.rand(len(bounds), 1, 3, 3, generator=rng)
    x[0, 0, 0, 0], x[0, 0, 0, 1] = 0.0, 1.0
    slope = torch.randn(1, 3, 3, generator=rng)
    ball = BALLS[norm](x, epsilon)
    moved = perturb(
        lambda x: (x * slope).sin().sum(dim=(1, 2, 3)),
        ball,
        random_start(ball, start=start, generator=rng),
        step=torch.full_like(epsilon, length),
        num_steps=3,
    )
    assert (moved >= 0).all()
    assert (moved <= 1).all()
    distance = torch.linalg.vector_norm(moved - x, ORDER[norm], dim=(1, 2, 3))
    assert (distance <= epsilon * (1 + 1e-6) + 1e-6).all()
    assert (distance[epsilon == 0] == 0).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("sign", [1, -1])
def test_every_sample_that_may_move_goes_its_way_along_the_loss(conv_net, batch, norm, sign):
    conv_net.eval()
    loss = cross_entropy(conv_net, batch.y)
    rng = torch.Generator().manual_seed(0)
    ball = BALLS[norm](batch.x, BOUNDS)
    moved = perturb(
        loss,
        ball,
        random_start(ball, start="uniform", generator=rng),
        step=sign * BOUNDS / 4,
        num_steps=10,
    )
    with torch.no_grad():
        change = sign * (loss(moved) - loss(batch.x))
    assert (change[MOVES] > 0).all()
    assert (change[~MOVES] == 0).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("sign", [1, -1])
def test_on_a_linear_model_the_walk_ends_in_the_closed_form(norm, sign):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(9, 2))
    x = torch.rand(6, 1, 3, 3) * 0.4 + 0.3
    y = torch.tensor([0, 1, 0, 1, 0, 1])
    epsilon = torch.tensor([0.0, 0.01, 0.05, 0.1, 0.2, 0.25])
    ball = BALLS[norm](x, epsilon)
    moved = perturb(
        cross_entropy(model, y),
        ball,
        random_start(ball, start="uniform", generator=torch.Generator().manual_seed(1)),
        step=sign * epsilon / 2,
        num_steps=4 if norm == "linf" else 60,
    )
    weight = model[1].weight.detach()
    slope = torch.stack([weight[1 - label] - weight[label] for label in y.tolist()])
    uphill = slope.sign() if norm == "linf" else slope / slope.norm(dim=1, keepdim=True)
    expected = x + sign * epsilon.view(-1, 1, 1, 1) * uphill.view(-1, 1, 3, 3)
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-6)


def test_a_walk_may_not_start_outside_the_ball(batch):
    far = torch.full_like(batch.x, 5.0)
    ball = LinfBall(batch.x, BOUNDS)
    moved = perturb(lambda x: x.sum(dim=(1, 2, 3)) * 0, ball, far, step=BOUNDS, num_steps=0)
    expected = (batch.x + BOUNDS.view(-1, 1, 1, 1)).clamp(max=1)
    torch.testing.assert_close(moved, expected)


def test_starts_have_the_spread_that_their_papers_say():
    rng = torch.Generator().manual_seed(0)
    x = torch.full((50, 1, 20, 20), 0.5)
    ball = LinfBall(x, torch.full((50,), 0.1))
    normal = random_start(ball, start="normal", generator=rng) - x
    uniform = random_start(ball, start="uniform", generator=rng) - x
    assert normal.std().item() == pytest.approx(0.001, rel=0.02)
    assert uniform.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.02)
    assert uniform.abs().max() <= 0.1


def test_an_empty_step_size_is_a_quarter_of_epsilon():
    assert ThreatConfig(epsilon=0.2).step == pytest.approx(0.05)
    assert ThreatConfig(epsilon=0.2, step_size=0.03).step == 0.03


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("climbs", ["ce", "kl"])
def test_one_walk_for_both_copies_equals_two_walks_from_the_same_starts(
    conv_net, batch, monkeypatch, norm, climbs
):
    starts = batch.x.repeat(2, 1, 1, 1) + 0.01 * torch.randn(20, 1, 4, 4)
    monkeypatch.setattr("engine.perturbation.training.random_start", lambda *_, **__: starts)
    threat = ThreatConfig(norm=norm, epsilon=0.1, num_steps=4)
    attack = TrainingAttack(conv_net, threat, torch.Generator())
    objective = Objective(climbs=climbs, start="normal", anti_adversary=True)
    conv_net.eval()
    p = conv_net(batch.x).softmax(dim=1).detach()
    copies = attack(batch, p.log(), BOUNDS, objective=objective)

    def climb(x: Tensor) -> Tensor:
        if climbs == "ce":
            return F.cross_entropy(conv_net(x), batch.y, reduction="none")
        q = conv_net(x).softmax(dim=1)
        return (p * (p.log() - q.log())).sum(dim=1)

    ball, step = BALLS[norm](batch.x, BOUNDS), torch.full((10,), 0.025)
    adversary = perturb(climb, ball, starts[:10], step=step, num_steps=4)
    descend = cross_entropy(conv_net, batch.y)
    anti_adversary = perturb(descend, ball, starts[10:], step=-step, num_steps=4)
    torch.testing.assert_close(copies.adversary, adversary)
    torch.testing.assert_close(copies.anti_adversary, anti_adversary)


@pytest.mark.parametrize("adversary", [True, False])
@pytest.mark.parametrize("anti_adversary", [True, False])
@pytest.mark.parametrize("climbs", ["ce", "kl"])
def test_only_the_copies_that_are_asked_for_are_made(
    learner, batch, adversary, anti_adversary, climbs
):
    objective = Objective(
        climbs=climbs,
        start="uniform",
        adversary=adversary,
        anti_adversary=anti_adversary,
    )
    copies = learner.attack(batch, learner.log_probabilities(batch.x), BOUNDS, objective=objective)
    assert (copies.adversary is not None) == adversary
    assert (copies.anti_adversary is not None) == anti_adversary


def test_both_copies_move_the_losses_of_every_sample_their_way(learner, batch):
    log_p = learner.log_probabilities(batch.x)
    copies = learner.attack(batch, log_p, BOUNDS, objective=BOTH)
    log_q = learner.log_probabilities(copies.adversary)
    divergence = (log_p.exp() * (log_p - log_q)).sum(dim=1)
    assert (divergence[MOVES] > 1e-6).all()
    label = batch.y[:, None]
    gain = learner.log_probabilities(copies.anti_adversary).gather(1, label) - log_p.gather(
        1, label
    )
    assert (gain.squeeze(1)[MOVES] > 0).all()


@pytest.mark.parametrize("training", [True, False])
def test_an_attack_leaves_the_model_as_it_was(learner, batch, training):
    model = learner.model.train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learner.attack(batch, learner.log_probabilities(batch.x), BOUNDS, objective=BOTH)
    assert all(module.training == training for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_probability_that_underflows_gives_finite_copies(learner, batch):
    with torch.no_grad():
        learner.model.backbone[-1].bias.copy_(torch.tensor([0.0, 300.0, -300.0]))
    log_p = learner.log_probabilities(batch.x)
    assert (log_p.exp() == 0).any()
    assert log_p.isfinite().all()
    copies = learner.attack(Batch(batch.x, batch.y, batch.index), log_p, BOUNDS, objective=BOTH)
    assert copies.adversary.isfinite().all()
    assert copies.anti_adversary.isfinite().all()


def test_each_sample_takes_steps_of_its_own_length(learner, batch):
    objective = Objective(climbs="ce", start="normal", anti_adversary=True)
    bound, usual = torch.full((10,), 0.1), torch.full((10,), learner.step_size)

    def moved(step: Tensor | None) -> tuple[Tensor, Tensor]:
        learner.attack.rng.manual_seed(0)
        copies = learner.attack(batch, None, bound, objective=objective, step=step)
        return tuple(
            (copy - batch.x).abs().amax(dim=(1, 2, 3))
            for copy in (copies.adversary, copies.anti_adversary)
        )

    own = usual.clone()
    own[4] = 0.0
    for plain, same, some in zip(moved(None), moved(usual), moved(own), strict=True):
        assert torch.equal(plain, same)
        assert some[4] < 0.01  # where the walk began
        assert torch.equal(some[:4], plain[:4])


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_while_the_radius_warms_up_a_step_stays_the_same_part_of_it(batch, share):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    centred = Batch(0.5 + 0 * batch.x, batch.y % 2, batch.index)
    threat = ThreatConfig(norm="l2", epsilon=0.4, step_size=0.1, num_steps=1)
    attack = TrainingAttack(model, threat, torch.Generator().manual_seed(1), share)
    objective = Objective(climbs="ce", start="normal", anti_adversary=True)
    for own in (None, torch.linspace(0.05, 0.3, 10)):
        copies = attack(centred, None, torch.full((10,), 0.4), objective=objective, step=own)
        length = share * (torch.full((10,), 0.1) if own is None else own)
        for moved in (copies.adversary, copies.anti_adversary):
            distance = torch.linalg.vector_norm(moved - centred.x, dim=(1, 2, 3))
            assert ((distance - length).abs() < 0.008).all()  # the start is as far as 0.004 away


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("num_classes", [1, 1000])
@pytest.mark.parametrize("climbs", ["ce", "kl"])
def test_a_batch_of_one_and_any_number_of_classes_are_perturbed(norm, num_classes, climbs):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, num_classes)).eval()
    one = Batch(torch.rand(1, 1, 4, 4), torch.tensor([num_classes - 1]), torch.tensor([0]))
    attack = TrainingAttack(model, ThreatConfig(norm=norm, epsilon=0.1), torch.Generator())
    objective = Objective(climbs=climbs, start="normal", anti_adversary=True)
    log_p = model(one.x).log_softmax(dim=1).detach()
    bound = torch.tensor([0.1])
    copies = attack(one, log_p, bound, objective=objective)
    loss = cross_entropy(model, one.y)
    adversary, anti_adversary = loss(copies.adversary), loss(copies.anti_adversary)
    assert (anti_adversary < adversary).item() == (num_classes > 1)  # one class has no loss
    for moved in (copies.adversary, copies.anti_adversary):
        distance = torch.linalg.vector_norm(moved - one.x, ORDER[norm], dim=(1, 2, 3))
        assert (distance <= 0.1 + 1e-6).all()


@pytest.mark.parametrize("kind", ["adversary", "anti_adversary"])
def test_a_batch_may_be_drawn_to_one_side_only(learner, batch, kind):
    chance = torch.full((10,), 1 - 1e-7 if kind == "adversary" else 1e-7)
    objective = Objective(climbs="ce", start="normal", anti_adversary=True)
    copies = learner.attack(batch, None, BOUNDS, objective=objective, step=None, probability=chance)
    assert copies.anti_adversary is None
    assert copies.draw.is_adversary.tolist() == [kind == "adversary"] * 10
    loss = cross_entropy(learner.model.eval(), batch.y)
    change = (loss(copies.adversary) - loss(batch.x)).detach()
    assert ((change if kind == "adversary" else -change)[MOVES] > 0).all()
