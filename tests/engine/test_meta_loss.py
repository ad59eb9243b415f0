"""What CAAT's assignments are judged by, against the same by hand."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from engine.meta.prices import EqualPrices
from engine.methods.base import METHODS
from engine.methods.caat.meta_loss import MetaLoss


@pytest.fixture
def terms(learner):
    """Return a meta loss on uneven classes, and CE and KL of each image by hand."""

    def look(**options):
        batch = replace(
            learner.meta,
            y=torch.tensor([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1]),  # class 2 is absent
        )
        learner.attack.rng.manual_seed(5)
        bound = torch.full((12,), learner.epsilon)
        meta_loss = MetaLoss(learner, EqualPrices(3), 1.5, **options)
        loss = meta_loss.on(batch, bound)
        learner.attack.rng.manual_seed(5)
        log_p = learner.log_probabilities(batch.x)
        copies = learner.attack(batch, log_p, bound, objective=meta_loss.objective)
        parameters = dict(learner.model.named_parameters())
        return batch, copies.adversary, loss, parameters

    return look


def by_hand(model, batch, x_adv):
    """CE + 1.5 KL of each image, in the mode that the model is in."""
    p, q = (model(x).softmax(dim=1) for x in (batch.x, x_adv))
    divergence = (p * (p / q).log()).sum(dim=1)
    return F.cross_entropy(model(batch.x), batch.y, reduction="none") + 1.5 * divergence


@pytest.mark.parametrize("lean", [0.0, 2.0, 50.0])
def test_worst_class_weighs_each_class_by_a_softmax_of_its_mean(terms, learner, lean):
    batch, x_adv, loss, parameters = terms(kind="worst-class", lean=lean)
    learner.model.eval()
    with torch.no_grad():
        each = by_hand(learner.model, batch, x_adv)
        means = torch.stack([each[:9].mean(), each[9:].mean()])
        share = (lean * means).softmax(dim=0)
        wanted = (share * means).sum()
    learner.model.train()
    torch.testing.assert_close(loss(parameters), wanted)


def test_the_shares_of_the_classes_are_constants(terms, learner):
    batch, x_adv, loss, parameters = terms(kind="worst-class", lean=2.0)
    found = torch.autograd.grad(loss(parameters), list(parameters.values()))
    learner.model.eval()
    each = by_hand(learner.model, batch, x_adv)
    means = torch.stack([each[:9].mean(), each[9:].mean()])
    share = (2.0 * means).softmax(dim=0).detach()
    wanted = torch.autograd.grad((share * means).sum(), list(parameters.values()))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_batch_norm_sees_the_meta_batch_itself_where_it_is_asked_to(terms, learner):
    batch, x_adv, loss, parameters = terms(batch_norm="train")
    buffers = {name: value.clone() for name, value in learner.model.named_buffers()}
    learner.model.train()

    def predict(x):
        copy = {name: value.clone() for name, value in buffers.items()}
        return functional_call(learner.model, {**parameters, **copy}, (x,))

    wanted = by_hand(predict, batch, x_adv).mean()
    torch.testing.assert_close(loss(parameters), wanted)
    _, _, with_running, _ = terms(batch_norm="eval")
    assert with_running(parameters).item() != pytest.approx(wanted.item(), rel=1e-3)
    for name, value in learner.model.named_buffers():
        assert torch.equal(value, buffers[name])


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"meta_lean": 3.0}, "3 is not valid with meta_objective priced"),
        (
            {"protocol": "as-released", "meta_objective": "worst-class"},
            "'worst-class' is not valid with protocol as-released",
        ),
        (
            {"protocol": "as-released", "meta_batch_norm": "train"},
            "'train' is not valid with protocol as-released",
        ),
    ],
)
def test_a_choice_that_changes_nothing_is_refused(fields, told):
    with pytest.raises(ValueError, match=told):
        METHODS["caat"](**fields)
