"""CAAT by reinforcement learning: its actions, its rewards, and what it makes of them."""

import math
from dataclasses import replace

import pytest
import torch

from engine.meta.virtual_step import prediction_with
from engine.methods.base import METHODS
from engine.methods.caat.rl import LEVELS
from engine.objective import per_sample_losses


@pytest.fixture
def policy_of(learner):
    def build(**fields):
        settings = {"meta_batch_size": 12, "prices": "none", **fields}
        method = METHODS["caat-rl"](**settings).build(learner)
        method.start_epoch(1, None)
        return method

    return build


def test_a_sample_gets_the_direction_and_the_bound_that_were_drawn(
    policy_of, learner, batch, traits_of
):
    policy = policy_of(explore=1.0)
    given = policy.assign(batch, traits_of(learner, batch))
    level = torch.tensor(LEVELS)[policy.drawn.taken % len(LEVELS)]
    torch.testing.assert_close(given.bound, level * learner.epsilon)
    torch.testing.assert_close(given.step, level * learner.step_size)
    assert torch.equal(given.direction, policy.drawn.taken < len(LEVELS))
    torch.testing.assert_close(given.probability, torch.full((len(batch),), 0.5))
    assert given.direction.any()
    assert not given.direction.all()


def test_the_attack_moves_each_sample_in_the_direction_that_was_drawn(
    policy_of, learner, batch, step_of
):
    policy = policy_of(explore=1.0)
    learner.model.eval()
    step = step_of(policy, learner, batch)
    drawn = policy.drawn.taken < len(LEVELS)
    assert torch.equal(step.copies.draw.is_adversary, drawn)
    with torch.no_grad():
        losses = [
            torch.nn.functional.cross_entropy(learner.model(x), batch.y, reduction="none")
            for x in (batch.x, step.copies.adversary)
        ]
    assert (losses[1] < losses[0])[~drawn].all()


def test_draws_come_as_often_as_the_policy_says(policy_of, learner, batch, traits_of):
    policy = policy_of()
    traits = traits_of(learner, batch)
    chance = policy.assign(batch, traits).probability
    drawn = torch.stack([policy.assign(batch, traits).direction for _ in range(2000)])
    deviation = (chance * (1 - chance) / 2000).sqrt()
    assert ((drawn.float().mean(dim=0) - chance).abs() < 4.5 * deviation).all()


def test_a_fixed_bound_is_epsilon(policy_of, learner, batch, traits_of):
    given = policy_of(bounds="fixed").assign(batch, traits_of(learner, batch))
    torch.testing.assert_close(given.bound, torch.full((len(batch),), learner.epsilon))


def test_at_the_start_most_samples_get_their_adversary(policy_of, learner, batch, traits_of):
    given = policy_of().assign(batch, traits_of(learner, batch))
    assert 0.7 < given.probability.mean() < 0.98


def test_a_reward_is_the_fall_of_the_meta_loss_that_the_samples_own_losses_cause(
    policy_of, learner, batch, step_of
):
    """By finite differences: the model steps with and without a little of one sample's losses."""
    learner.model.double()
    policy = policy_of(explore=1.0, meta_num_steps=2, meta_objective="priced")
    policy.network.double()
    double = replace(batch, x=batch.x.double())
    policy.meta.images = replace(learner.meta, x=learner.meta.x.double())
    step = step_of(policy, learner, double)
    learner.attack.rng.manual_seed(3)
    policy.meta.start_epoch(1)
    found = policy.reward(step)

    learner.attack.rng.manual_seed(3)
    policy.meta.start_epoch(1)
    meta_loss = policy._meta_loss(policy.meta.batch())
    parameters = dict(learner.model.named_parameters())
    weights = policy.combination.weights(batch.y, step.copies.draw.probability)
    # of one sample: what its action does in full, its clean loss with an adversary only
    is_adversary, chance = step.copies.draw.is_adversary, step.copies.draw.probability
    share = torch.stack([is_adversary / chance, torch.ones_like(chance)], dim=1)[:, [0, 1, 1]]
    rate = learner.optimizer.param_groups[0]["lr"]

    def after(more):
        predict = prediction_with(learner.model, parameters, train=True)
        losses = per_sample_losses(predict, double, step.copies, objective=policy.objective)
        total = ((weights + more) * losses).sum(dim=1).mean()
        gradients = torch.autograd.grad(total, list(parameters.values()))
        landed = {
            name: parameter - rate * gradient
            for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True)
        }
        return meta_loss(landed).item()

    for sample in range(4):
        nudge = torch.zeros_like(weights, dtype=torch.float64)
        nudge[sample] = 1e-5 * weights[sample] * share[sample]
        slope = (after(nudge) - after(-nudge)) / 2e-5
        assert found[sample].item() == pytest.approx(-slope * len(batch) / rate, rel=1e-4)


def test_actions_of_high_reward_become_likelier(policy_of, learner, batch, step_of, monkeypatch):
    policy = policy_of(explore=1.0, entropy=0.0)
    policy.config = policy.config.model_copy(update={"explore": 0.1})
    step = step_of(policy, learner, batch)
    drawn = policy.drawn
    reward = torch.where(step.copies.draw.is_adversary, -1.0, 1.0)
    monkeypatch.setattr(policy, "reward", lambda step: reward)
    before = policy._policy(step.characteristics).detach()
    policy.drawn = replace(drawn, log_chances=before)
    policy.learn(step)
    after = policy._policy(step.characteristics).detach()
    moved = (after - before).gather(1, drawn.taken[:, None]).squeeze(1)
    assert torch.equal(moved > 0, reward > 0)


def test_the_entropy_bonus_falls_to_nothing_by_the_last_epoch(policy_of, learner):
    policy = policy_of(entropy=0.4)
    found = []
    for epoch in range(1, learner.epochs + 1):
        policy.start_epoch(epoch, None)
        found.append(policy.bonus)
    assert found[0] == 0.4
    assert found[-1] == 0.0
    assert found == sorted(found, reverse=True)


def test_the_policy_that_is_stored_does_not_depend_on_the_draw(
    policy_of, learner, batch, traits_of
):
    policy, traits = policy_of(explore=1.0), traits_of(learner, batch)
    first, second = (policy.assign(batch, traits) for _ in range(2))
    assert torch.equal(first.weights, second.weights)
    assert not torch.equal(first.bound, second.bound)


def test_the_learned_weight_is_the_chance_of_the_anti_adversary(
    policy_of, learner, batch, traits_of
):
    policy, traits = policy_of(), traits_of(learner, batch)
    told = policy.config.learned_weight()
    told.network.load_state_dict(policy.network.state_dict())
    given = policy.assign(batch, traits)
    assert told.quantity == "anti_adversary_weight"
    torch.testing.assert_close(told.weight(traits, traits), given.anti_adversary)


def test_the_policy_says_how_sure_it_is(policy_of, learner, batch, step_of):
    policy = policy_of(explore=1.0)
    policy.learn(step_of(policy, learner, batch))
    assert policy.diagnostics()["policy_entropy"] == pytest.approx(math.log(10))
