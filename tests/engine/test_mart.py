import numpy as np
import pytest
import torch

from engine.methods.base import METHODS


@pytest.mark.parametrize("num_classes", [2, 3, 11])
@pytest.mark.parametrize("beta", [0.0, 5.0])
def test_the_loss_is_the_papers_formula(num_classes, beta, learner_of):
    torch.manual_seed(0)
    learner = learner_of(num_classes)
    objective = METHODS["mart"](beta=beta).build(learner).objective
    logits, logits_adv = 3 * torch.randn(2, 20, num_classes, dtype=torch.float64)
    y = torch.randint(num_classes, (20,))
    found = objective.adversary_loss(logits_adv, logits, y)

    p, q = (
        np.exp(z) / np.exp(z).sum(1, keepdims=True) for z in (logits.numpy(), logits_adv.numpy())
    )
    for i, label in enumerate(y.tolist()):
        rival = max(q[i, k] for k in range(num_classes) if k != label)
        boosted = -np.log(q[i, label]) - np.log(1.0001 - rival)
        divergence = sum(p[i, k] * np.log(p[i, k] / q[i, k]) for k in range(num_classes))
        expected = boosted + beta * divergence * (1 - p[i, label])
        assert found[i].item() == pytest.approx(expected, rel=1e-9)


def test_the_loss_is_finite_where_predictions_underflow(learner):
    objective = METHODS["mart"]().build(learner).objective
    logits = torch.tensor([[300.0, -300.0, 0.0]] * 3, requires_grad=True)
    loss = objective.adversary_loss(logits, -logits, torch.arange(3))
    assert loss.isfinite().all()
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert gradient.isfinite().all()


def test_the_adversary_climbs_the_cross_entropy_and_the_loss_reads_both_views(
    learner, batch, step_of
):
    method = METHODS["mart"]().build(learner)
    assert method.objective.climbs == "ce"
    learner.model.eval()
    step = step_of(method, learner, batch)
    logits, logits_adv = learner.model(batch.x), learner.model(step.copies.adversary)
    expected = method.objective.adversary_loss(logits_adv, logits, batch.y)
    torch.testing.assert_close(step.losses[:, 1], expected)
    assert (step.losses[:, [0, 2]] == 0).all()
    assert torch.equal(step.adversary_logits, logits_adv.detach())
