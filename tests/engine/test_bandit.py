"""A one-step bandit, against exact enumeration of its actions."""

import math

import pytest
import torch

from engine.meta.bandit import ClassBaseline, drawn, entropy, explored, surrogate

LOGITS = torch.tensor([[0.3, -1.2, 2.0], [0.0, 0.5, -0.5]], dtype=torch.float64)
REWARDS = torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.1, -1.0]], dtype=torch.float64)


def clipped(log_chances, before, taken, advantage):
    return surrogate(log_chances, before, taken=taken, advantage=advantage, clip=0.2)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_over_all_actions_the_gradient_is_that_of_the_expected_reward(share):
    logits = LOGITS.clone().requires_grad_()
    exact = (explored(logits, share).exp() * REWARDS).sum(dim=1).mean()
    (wanted,) = torch.autograd.grad(exact, logits)

    log_chances = explored(logits, share)
    before = log_chances.detach()
    expected = 0.0
    for action in range(3):
        taken = torch.full((2,), action)
        weight = before.exp()[:, action] * REWARDS[:, action]
        expected = expected + clipped(log_chances, before, taken, weight)
    (found,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(found, wanted)


def test_a_baseline_that_does_not_know_the_action_leaves_the_expected_gradient():
    logits = LOGITS.clone().requires_grad_()
    log_chances = explored(logits, 0.1)
    before = log_chances.detach()
    gradients = []
    for baseline in (0.0, 7.0):
        expected = sum(
            clipped(
                log_chances,
                before,
                torch.full((2,), action),
                before.exp()[:, action] * (REWARDS[:, action] - baseline),
            )
            for action in range(3)
        )
        gradients += torch.autograd.grad(expected, logits, retain_graph=True)
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize(
    ("ratio", "advantage", "moves"),
    [(1.3, 1.0, False), (0.7, 1.0, True), (0.7, -1.0, False), (1.3, -1.0, True), (1.1, 1.0, True)],
)
def test_what_has_moved_far_enough_in_the_wanted_direction_moves_no_further(
    ratio, advantage, moves
):
    before = torch.tensor([[math.log(0.4), math.log(0.6)]])
    chances = torch.tensor([[0.4 * ratio, 1 - 0.4 * ratio]]).log().requires_grad_()
    found = clipped(chances, before, torch.tensor([0]), torch.tensor([advantage]))
    (gradient,) = torch.autograd.grad(found, chances)
    assert (gradient.abs().sum() > 0).item() is moves


def test_no_action_is_less_likely_than_its_part_of_the_uniform_share():
    chances = explored(torch.tensor([[80.0, -80.0, 0.0, 0.0]]), 0.2).exp()
    torch.testing.assert_close(chances, torch.tensor([[0.85, 0.05, 0.05, 0.05]]))
    assert explored(torch.tensor([[80.0, -80.0]]), 1.0).exp().tolist() == [[0.5, 0.5]]


def test_actions_are_drawn_as_often_as_they_are_likely():
    chances = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.0, 0.5]])
    rng = torch.Generator().manual_seed(0)
    taken = torch.stack([drawn(chances.log(), rng) for _ in range(4000)])
    found = torch.stack([(taken == action).float().mean(dim=0) for action in range(3)], dim=1)
    assert ((found - chances).abs() < 4.5 * (chances * (1 - chances) / 4000).sqrt() + 1e-9).all()
    assert drawn(torch.full((2, 3), math.nan), rng).tolist() == [0, 0]


def test_entropy_is_zero_of_a_certain_action_and_the_logarithm_of_their_number_of_none():
    log_chances = torch.tensor([[0.25] * 4, [1.0, 1e-30, 1e-30, 1e-30]]).log()
    torch.testing.assert_close(entropy(log_chances), torch.tensor([math.log(4), 0.0]))


def test_a_baseline_is_the_decayed_mean_of_each_class():
    baseline = ClassBaseline(3, decay=0.5, device=torch.device("cpu"))
    assert baseline.expected(torch.tensor([0, 1, 2])).tolist() == [0.0, 0.0, 0.0]
    baseline.update(torch.tensor([1.0, 3.0, 10.0]), torch.tensor([0, 0, 1]))
    baseline.update(torch.tensor([8.0]), torch.tensor([0]))
    # class 0: (0.5 (1 + 3) + 8) / (0.5 * 2 + 1); class 1 stays; of class 2 nothing is known
    assert baseline.expected(torch.tensor([0, 1, 2])).tolist() == [5.0, 10.0, 0.0]


def test_a_bandit_with_a_known_best_action_is_solved():
    rng = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = torch.nn.Linear(1, 4)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    baseline = ClassBaseline(2, decay=0.9, device=torch.device("cpu"))

    def best(state):
        return torch.where(state[:, 0] > 0, 3, 1)

    for _ in range(150):
        state = torch.randn(64, 1, generator=rng)
        y = (state[:, 0] > 0).long()
        before = explored(network(state), 0.05).detach()
        taken = torch.multinomial(before.exp(), 1, generator=rng).squeeze(1)
        reward = (taken == best(state)).float() + 5 * y  # a class pays whatever is done
        advantage = reward - baseline.expected(y)
        for _ in range(4):
            optimizer.zero_grad()
            (-clipped(explored(network(state), 0.05), before, taken, advantage)).backward()
            optimizer.step()
        baseline.update(reward, y)
    state = torch.cat([torch.linspace(-2, -0.3, 20), torch.linspace(0.3, 2, 20)])[:, None]
    chosen = explored(network(state), 0.05).argmax(dim=1)
    assert torch.equal(chosen, best(state))
