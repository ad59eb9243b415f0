import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from engine.methods.base import METHODS
from engine.mistakes import error_lines
from engine.new_scenario import new_scenario
from engine.scenario import Scenario
from engine.types import Batch


def build(learner, **fields):
    method = METHODS["meta-weight-net"](hidden=8, meta_batch_size=12, **fields).build(learner)
    method.start_epoch(1, None)
    return method


def test_a_weight_is_the_sigmoid_of_the_network_of_the_samples_own_loss(learner, batch, traits_of):
    method = build(learner)
    given = method.assign(batch, traits_of(learner, batch))
    learner.model.eval()
    loss = F.cross_entropy(learner.model(batch.x), batch.y, reduction="none").detach()
    first, last = method.network.hidden, method.network.last
    for i in range(10):
        hidden = [
            max(0.0, w.item() * loss[i].item() + b.item())
            for w, b in zip(first.weight, first.bias, strict=True)
        ]
        logit = sum(w * h for w, h in zip(last.weight[0].tolist(), hidden, strict=True))
        expected = torch.tensor(logit + last.bias.item()).sigmoid()
        torch.testing.assert_close(given.clean[i], expected)
    assert (given.adversary == 0).all()
    assert (given.anti_adversary == 0).all()


def logits_by_hand(parameters, buffers, x, mode):
    """Compute the test's network layer by layer, batch norm by its formula."""
    weights = {name.removeprefix("backbone."): value for name, value in parameters.items()}
    z = F.conv2d(x, weights["0.weight"], weights["0.bias"], padding=1)
    if mode == "train":
        mean = z.mean(dim=(0, 2, 3), keepdim=True)
        variance = (z - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    else:
        mean, variance = (
            buffers[f"backbone.1.running_{name}"].view(1, -1, 1, 1) for name in ("mean", "var")
        )
    gain, shift = (weights[f"1.{name}"].view(1, -1, 1, 1) for name in ("weight", "bias"))
    h = torch.tanh((z - mean) / (variance + 1e-5).sqrt() * gain + shift)
    return h.flatten(start_dim=1) @ weights["4.weight"].T + weights["4.bias"]


@pytest.mark.parametrize(("mode", "other"), [("eval", "train"), ("train", "eval")])
def test_the_gradient_is_that_of_double_backward_with_the_batch_norm_that_is_asked_for(
    mode, other, learner, batch, step_of
):
    learner.model.double()
    learner.meta = Batch(learner.meta.x.double(), learner.meta.y, learner.meta.index)
    batch = Batch(batch.x.double(), batch.y, batch.index)
    method = build(learner, meta_weight_decay=0, meta_batch_norm=mode)
    method.network.double()
    learner.model.train()
    step = step_of(method, learner, batch)

    parameters = dict(learner.model.named_parameters())
    buffers = {name: value.clone() for name, value in learner.model.named_buffers()}
    weights = method.network(step.characteristics.loss.detach())
    loss = (weights * step.losses[:, 0]).mean()
    slopes = torch.autograd.grad(
        loss, list(parameters.values()), create_graph=True, retain_graph=True
    )
    landed = {
        name: value - 0.1 * slope  # the first step of SGD: momentum has no past
        for (name, value), slope in zip(parameters.items(), slopes, strict=True)
    }

    def gradients(of):
        logits = logits_by_hand(landed, buffers, learner.meta.x, of)
        meta_loss = F.cross_entropy(logits, learner.meta.y)
        return torch.autograd.grad(meta_loss, list(method.network.parameters()), retain_graph=True)

    expected, wrong = gradients(mode), gradients(other)
    assert method.learn(step)
    for parameter, gradient, unlike in zip(
        method.network.parameters(), expected, wrong, strict=True
    ):
        assert gradient.norm() > 0
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-6, atol=1e-12)
        assert (parameter.grad - unlike).norm() > 0.01 * gradient.norm()
    assert learner.model.training
    for name, value in learner.model.named_buffers():
        assert torch.equal(value, buffers[name]), name


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_a_scenario_may_name_either_batch_norm_of_the_meta_loss(mode):
    scenario = new_scenario({"method": {"name": "meta-weight-net", "meta_batch_norm": mode}})
    assert scenario.method.meta_batch_norm == mode
    assert Scenario.model_validate(scenario.as_json()).method == scenario.method


@pytest.mark.parametrize("mode", ["Train", "batch", "", True, 0, None])
def test_any_other_batch_norm_is_refused_in_one_line(mode):
    with pytest.raises(ValidationError) as refused:
        new_scenario({"method": {"name": "meta-weight-net", "meta_batch_norm": mode}})
    ((field, text),) = error_lines(refused.value, Scenario).items()
    assert field == "method.meta_batch_norm"
    assert "\n" not in text
    assert "eval" in text
    assert "train" in text


def test_a_meta_step_is_taken_every_so_many_batches(learner, batch, step_of):
    method = build(learner, meta_every=2)
    assert [method.learn(step_of(method, learner, batch, n)) for n in range(4)] == [
        True,
        False,
        True,
        False,
    ]


def test_samples_with_wrong_labels_lose_weight(learner, batch, step_of):
    torch.manual_seed(0)
    centres = torch.rand(3, 1, 4, 4)
    y = torch.arange(48) % 3
    x = (centres[y] + 0.05 * torch.randn(48, 1, 4, 4)).clamp(0, 1)
    learner.meta = Batch(x[:12], y[:12], torch.arange(12))
    given, wrong = y[12:].clone(), torch.arange(36) % 4 == 0
    given[wrong] = (given[wrong] + 1) % 3
    train = Batch(x[12:], given, torch.arange(36))
    method = build(learner, meta_lr=0.02)
    for _ in range(30):  # a wrong label is told by its loss once the model knows something
        learner.optimizer.zero_grad()
        F.cross_entropy(learner.model(train.x), given).backward()
        learner.optimizer.step()
    for number in range(50):
        learner.model.train()
        step = step_of(method, learner, train, number)
        method.learn(step)
        weights = method.assign(train, step.characteristics).weights
        learner.optimizer.zero_grad()
        (weights * step.losses).sum(dim=1).mean().backward()
        learner.optimizer.step()
    clean = method.assign(train, step.characteristics).clean
    assert clean[wrong].mean() < 0.5 * clean[~wrong].mean()


@pytest.mark.parametrize("loss", ["pgd-at", "trades"])
def test_with_a_robust_loss_that_methods_assignment_is_what_is_weighed(
    loss, learner, batch, traits_of
):
    traits = traits_of(learner, batch)
    method = build(learner, loss=loss, beta=3.0)
    given = method.assign(batch, traits)
    plain = METHODS[loss](**({"beta": 3.0} if loss == "trades" else {})).build(learner)
    expected = plain.assign(batch, traits)
    weight = method.network(traits.loss).detach()
    torch.testing.assert_close(given.weights, weight[:, None] * expected.weights)
    torch.testing.assert_close(given.bound, expected.bound)
    assert method.objective.climbs == plain.objective.climbs


def test_with_a_robust_loss_the_meta_loss_is_that_loss_on_meta_images(learner):
    """TRADES by hand: CE + beta KL between the predictions of the image and of its adversary."""
    method = build(learner, loss="trades", beta=3.0)
    images, parameters = method.meta.batch(), dict(learner.model.named_parameters())
    learner.attack.rng.manual_seed(5)
    found = method._meta_loss(images)(parameters)
    learner.attack.rng.manual_seed(5)
    bound = torch.full((len(images),), learner.epsilon)
    learner.model.eval()
    log_p = learner.model(images.x).log_softmax(dim=1).detach()
    copies = learner.attack(images, log_p, bound, objective=method.objective)
    with torch.no_grad():
        log_q = learner.model(copies.adversary).log_softmax(dim=1)
    natural = -log_p[torch.arange(len(images)), images.y].mean()
    divergence = (log_p.exp() * (log_p - log_q)).sum(dim=1).mean()
    torch.testing.assert_close(found.detach(), natural + 3.0 * divergence, rtol=1e-4, atol=1e-6)
