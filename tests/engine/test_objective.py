import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Categorical
from torch.distributions import kl_divergence as reference_kl

from engine.methods.base import METHODS
from engine.objective import kl_divergence, per_sample_losses
from engine.scenario import Scenario
from engine.types import Copies


def test_the_divergence_is_that_of_torch_distributions():
    torch.manual_seed(0)
    a, b = torch.randn(2, 20, 7, dtype=torch.float64).unbind()
    found = kl_divergence(a.log_softmax(dim=1), b.log_softmax(dim=1))
    torch.testing.assert_close(found, reference_kl(Categorical(logits=a), Categorical(logits=b)))


def test_a_distribution_does_not_diverge_from_itself_even_where_it_underflows():
    log_p = torch.tensor([[0.0, -400.0], [1.0, 2.0]]).log_softmax(dim=1)
    assert torch.equal(kl_divergence(log_p, log_p), torch.zeros(2))


def loss_of(name, learner, batch, copies, **fields):
    method = METHODS[name](**fields).build(learner)
    weights = method.assign(batch, None).weights
    losses = per_sample_losses(learner.model, batch, copies, objective=method.objective)
    return (weights * losses).sum(dim=1).mean()


@pytest.fixture
def copies(batch):
    torch.manual_seed(0)
    x_adv = (batch.x + 0.1 * torch.randn_like(batch.x)).clamp(0, 1)
    return Copies(x_adv, None)


def test_trades_is_cross_entropy_plus_beta_times_the_divergence(learner, batch, copies):
    learner.model.train()
    found = loss_of("trades", learner, batch, copies, beta=3.5)
    logits, logits_adv = learner.model(batch.x), learner.model(copies.adversary)
    p, q = logits.softmax(dim=1), logits_adv.softmax(dim=1)
    expected = F.cross_entropy(logits, batch.y) + 3.5 * F.kl_div(q.log(), p, reduction="batchmean")
    torch.testing.assert_close(found, expected)


def test_the_gradient_of_trades_flows_through_both_predictions(learner, batch, copies):
    learner.model.eval()
    parameters = list(learner.model.parameters())
    found = torch.autograd.grad(loss_of("trades", learner, batch, copies, beta=2), parameters)
    logits, logits_adv = learner.model(batch.x), learner.model(copies.adversary)
    p, q = logits.softmax(dim=1), logits_adv.softmax(dim=1)
    written = F.cross_entropy(logits, batch.y) + 2 * (p * (p.log() - q.log())).sum() / len(batch)
    for a, b in zip(found, torch.autograd.grad(written, parameters), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_adversarial_training_is_cross_entropy_on_the_adversaries(learner, batch, copies):
    learner.model.train()
    found = loss_of("pgd-at", learner, batch, copies)
    expected = F.cross_entropy(learner.model(copies.adversary), batch.y)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", METHODS.names())
def test_a_term_that_a_method_does_not_use_is_zero(name, learner, batch, copies):
    objective = Scenario(method={"name": name}).method.build(learner).objective
    given = Copies(
        copies.adversary if objective.adversary else None,
        copies.adversary if objective.anti_adversary else None,
    )
    losses = per_sample_losses(learner.model, batch, given, objective=objective)
    used = [objective.clean, objective.adversary, objective.anti_adversary]
    assert losses.shape == (10, 3)
    assert (losses.abs().sum(dim=0) > 0).tolist() == used
