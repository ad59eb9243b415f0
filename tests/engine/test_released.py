"""Each defect of the released code of CAAT, as a rule with a check of its own."""

import copy
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn
from torch.func import functional_call

from engine.meta.characteristics import Characteristics
from engine.meta.networks import ReleasedNetwork
from engine.methods.base import METHODS
from engine.mistakes import error_lines
from engine.models.classifier import Classifier
from engine.models.modes import eval_mode
from engine.perturbation.threat import ThreatConfig
from engine.perturbation.training import TrainingAttack
from engine.scenario import Scenario
from engine.seeds import torch_stream
from engine.types import Batch, Copies, DeviceImages

MEAN, STD = torch.tensor([0.45, 0.5, 0.4]), torch.tensor([0.1, 0.2, 0.3])
EPSILON = 0.08
MULTIPLIERS = {
    "natural": torch.tensor([0.3, 0.0, 0.1]),
    "boundary": torch.tensor([0.0, 0.2, 0.3]),
    "margin": torch.tensor([0.25, -0.4, 3.0]),
}
FACTORS = torch.tensor([math.exp(0.5), 0.98, 2.5])


def backbone_of(seed):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(64, 3),
    )


def images_of(size, seed):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(size, 3, 4, 4, generator=rng)


class Fixed:
    """An attack that moves every image by the same noise, whatever the model."""

    def __call__(self, batch, log_p, bound, objective, step=None, probability=None):
        noise = images_of(len(batch), 11).to(batch.x.dtype) - 0.5
        return Copies(batch.x + 0.2 * noise, batch.x - 0.2 * noise)

    def on(self, model):
        return self


@pytest.fixture
def three_channels(learner):
    """Return the learner of the tests with a net of colour images and their statistics."""
    model = Classifier(backbone_of(0), MEAN, STD)
    model(images_of(16, 0))
    threat = ThreatConfig(epsilon=EPSILON, num_steps=10)
    meta_y = torch.arange(12) % 3
    return replace(
        learner,
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.05),
        attack=TrainingAttack(model, threat, torch.Generator().manual_seed(3)),
        epsilon=EPSILON,
        step_size=EPSILON / 4,
        meta=Batch(images_of(12, 5), meta_y, torch.arange(12)),
        validation=DeviceImages((images_of(60, 6) * 255).byte(), torch.arange(60) % 3),
    )


@pytest.fixture
def batch():
    y = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 1, 2])
    return Batch(images_of(10, 1), y, torch.arange(10))


@pytest.fixture
def released_of(three_channels):
    """Build the protocol; its class multipliers are those of MULTIPLIERS."""

    def build(**fields):
        method = METHODS["caat"](protocol="as-released", **fields).build(three_channels)
        method.meta.start_epoch(1)
        method.multipliers.load_state({name: v.clone() for name, v in MULTIPLIERS.items()})
        return method

    return build


def copies_of(method, learner, batch):
    bound = method._bound(batch.y)
    log_p = learner.log_probabilities(batch.x)
    return learner.attack(batch, log_p, bound, objective=method.objective), bound


def normalised(x):
    return (x - MEAN.view(1, 3, 1, 1)) / STD.view(1, 3, 1, 1)


# -- D1, D2, D13: where the attack moves


def test_d1_a_copy_moves_by_the_radius_times_each_channels_deviation(
    released_of, three_channels, batch
):
    inside = replace(batch, x=(MEAN + STD * 0.5).view(1, 3, 1, 1).expand(10, 3, 4, 4).clone())
    copies, bound = copies_of(released_of(), three_channels, inside)
    for moved in (copies.adversary, copies.anti_adversary):
        reached = (moved - inside.x).abs().amax(dim=(2, 3))
        assert (reached <= bound[:, None] * STD + 1e-6).all()
        near = batch.y != 2  # ten steps do not take the third class to its edge
        torch.testing.assert_close(reached[near], (bound[:, None] * STD)[near])


def test_d2_every_copy_lies_between_0_and_1_once_it_is_normalised(
    released_of, three_channels, batch
):
    copies, _ = copies_of(released_of(), three_channels, batch)
    for moved in (copies.adversary, copies.anti_adversary):
        assert normalised(moved).min() > -1e-5
        assert normalised(moved).max() < 1 + 1e-5


def test_d2_dark_pixels_become_the_mean_and_bright_ones_the_mean_plus_a_deviation(
    released_of, three_channels, batch
):
    method = released_of()
    for pixel, becomes in ((0.0, MEAN), (1.0, MEAN + STD)):
        flat = replace(batch, x=torch.full_like(batch.x, pixel))
        copies, _ = copies_of(method, three_channels, flat)
        expected = becomes.view(1, 3, 1, 1).expand_as(flat.x)
        torch.testing.assert_close(copies.adversary, expected)
        torch.testing.assert_close(copies.anti_adversary, expected)


def test_d13_the_radius_of_training_is_ten_eighths_of_the_threats(released_of, batch, traits_of):
    method = released_of()
    bound = method.assign(batch, traits_of(method.learner, batch)).bound
    torch.testing.assert_close(bound, 1.25 * EPSILON * FACTORS[batch.y])


def test_the_class_multipliers_follow_errors_that_are_measured_behind_the_normalisation(
    three_channels,
):
    method = METHODS["caat"](protocol="as-released", slack=0.0).build(three_channels)
    method.start_epoch(1, None)

    model = three_channels.model.eval()
    x, y = three_channels.validation.images / 255, three_channels.validation.labels
    z = normalised(x)
    noise = torch.empty_like(z)
    rng = torch_stream(0, "released validation attack", 1)
    moved = z + EPSILON * noise.uniform_(-1, 1, generator=rng)
    for _ in range(21):
        moved = torch.clamp(torch.minimum(torch.maximum(moved, z - EPSILON), z + EPSILON), 0, 1)
        last = moved.requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(model.backbone(last), y), last)
        moved = (last + EPSILON / 4 * slope.sign()).detach()
    wrong = [model.backbone(images).argmax(dim=1) != y for images in (z, last)]
    natural, robust = (
        torch.stack([each[y == label].float().mean() for label in range(3)]) for each in wrong
    )
    boundary = robust - natural
    torch.testing.assert_close(method.multipliers.margin, 0.2 * (boundary - boundary.mean()))
    moved_by = (0.05 * (natural - natural.mean())).clamp_min(0)
    torch.testing.assert_close(method.multipliers.natural, moved_by)
    assert natural.std() > 0


# -- D3: the mode of the model


def test_d3_running_statistics_move_once_an_epoch(run, scenario_of):
    scenario = scenario_of("caat as-released", "preact-resnet18", training={"epochs": 3})
    for epoch, report in enumerate(run(scenario).epochs, 1):
        counts = {v.item() for name, v in report.state.items() if "num_batches" in name}
        assert counts == {epoch}


def test_d3_the_first_clean_batch_alone_moves_them(released_of, three_channels, batch, step_of):
    model = three_channels.model.train()
    norm = model.backbone[1]
    before = norm.running_mean.clone()
    with torch.no_grad():
        expected = model.backbone[0](normalised(batch.x)).mean(dim=(0, 2, 3))
    step_of(released_of(), three_channels, batch)
    torch.testing.assert_close(norm.running_mean, 0.9 * before + 0.1 * expected)
    assert not model.training
    after = norm.running_mean.clone()
    step_of(released_of(), three_channels, batch)
    assert torch.equal(norm.running_mean, after)


# -- D5: the class loss


def test_d5_the_class_loss_is_5_in_every_epoch(run, scenario_of):
    for report in run(scenario_of("caat as-released", training={"epochs": 3})).epochs:
        columns = report.snapshot.columns
        assert (columns["class_loss"] == 5).all()
        assert columns["loss"].std() > 0


@pytest.mark.parametrize("value", [0.1, 5.0, 700.0])
def test_d5_a_constant_characteristic_tells_the_network_nothing(
    value, released_of, three_channels, batch, traits_of
):
    network = released_of(temperature=1.0).network
    traits = traits_of(three_channels, batch)
    five, other = (replace(traits, class_loss=torch.full((10,), v)) for v in (5.0, value))
    torch.testing.assert_close(network(five), network(other))


# -- D7, D8: a network that hardly learns


def random_traits(size, seed):
    rng = torch.Generator().manual_seed(seed)
    return Characteristics(*torch.randn(6, size, generator=rng))


def test_d7_nearly_every_weight_is_saturated_at_the_start():
    between = []
    for seed in range(50):
        torch.manual_seed(seed)
        alpha = ReleasedNetwork(100, 0.001)(random_traits(500, seed))[:, 0]
        between.append(((alpha > 0.001) & (alpha < 0.999)).float().mean())
    assert 0.001 < torch.stack(between).mean() < 0.05


def test_the_network_is_torchs_own_layers_on_the_negative_entropy():
    torch.manual_seed(0)
    network = ReleasedNetwork(100, 0.5)
    with torch.no_grad():
        network.gain.uniform_(0.5, 2)
        network.shift.uniform_(-1, 1)
    norm = nn.BatchNorm1d(6)
    norm.load_state_dict({"weight": network.gain, "bias": network.shift}, strict=False)
    layers = nn.Sequential(norm, network.hidden, nn.ReLU(), network.last)
    traits = random_traits(40, 1)
    table = traits.table() * torch.tensor([1, 1, 1, 1, -1, 1])
    torch.testing.assert_close(network(traits), (layers(table) / 0.5).softmax(dim=1))


def test_d8_a_meta_step_is_every_fiftieth_batch_of_an_epoch(
    released_of, three_channels, batch, step_of
):
    method = released_of()
    step = step_of(method, three_channels, batch)
    taken, moved = [], 0.0
    for number in range(367):
        before = {name: value.clone() for name, value in method.state().items()}
        taken.append(method.learn(replace(step, number=number)))
        now = method.state()
        changed = [name for name in before if not torch.equal(before[name], now[name])]
        assert bool(changed) == taken[-1]
        moved = max(
            [moved, *((now[n] - before[n]).abs().max().item() for n in before if "network" in n)]
        )
    assert [number for number, step in enumerate(taken) if step] == list(range(49, 367, 50))
    assert sum(taken) == 7
    assert 0 < moved <= 1.01e-4 * 2  # Adam, at a rate of 1e-4


# -- D4, D6, D9: the meta step


def float64(learner):
    """Return the learner in float64, with momentum and an attack that never changes."""
    model = copy.deepcopy(learner.model).double()
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05}
    optimizer = torch.optim.SGD(model.parameters(), **options)
    x = images_of(8, 9).double()
    F.cross_entropy(model(x), torch.arange(8) % 3).backward()
    optimizer.step()
    optimizer.zero_grad()
    meta = replace(learner.meta, x=learner.meta.x.double())
    return replace(learner, model=model, optimizer=optimizer, attack=Fixed(), meta=meta)


def written_out_traits(p, y):
    one_hot = F.one_hot(y, 3).double()
    p_y = (p * one_hot).sum(dim=1)
    counts = torch.bincount(y).double()
    return Characteristics(
        loss=-p_y.log(),
        class_loss=torch.full((10,), 5.0),
        gradient_norm=(one_hot - p).square().sum(dim=1).sqrt(),
        margin=p_y - p.masked_fill(one_hot.bool(), -1).max(dim=1).values,
        entropy=-(p * p.log()).sum(dim=1),
        class_proportion=(counts / counts.sum())[y],
    )


def written_out(learner, network, batch, meta, *, detached=False, mode="train"):
    """Return L_meta after one step of SGD down the pseudo-loss, term by term."""
    model = copy.deepcopy(learner.model)
    parameters = dict(model.named_parameters())
    copies = Fixed()(batch, None, None, None)
    x_adv, x_anti = copies.adversary, copies.anti_adversary

    model.train(mode == "train")
    p = model(batch.x).softmax(dim=1)
    traits = written_out_traits(p, batch.y)
    if detached:
        traits = Characteristics(*(value.detach() for value in vars(traits).values()))
    alpha, anti = network(traits).T
    w0, w1 = (
        (1 / 3 + MULTIPLIERS[name] - MULTIPLIERS[name].mean())[batch.y].double()
        for name in ("natural", "boundary")
    )

    model.eval()

    def terms(predict, x, adversary, anti_adversary, y):
        p, q = predict(x).softmax(dim=1), predict(adversary).softmax(dim=1)
        return (p * (p / q).log()).sum(dim=1), -predict(anti_adversary).log_softmax(dim=1)[
            torch.arange(len(y)), y
        ]

    boundary, beneath = terms(model, batch.x, x_adv, x_anti, batch.y)
    loss = (
        (alpha * w0 * -p[torch.arange(10), batch.y].log()).sum() / w0.sum()
        + 1.5 * (alpha * w1 * boundary).sum() / w1.sum()
        + (anti * beneath).mean()
    )
    slopes = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
    landed = {}
    own = dict(learner.model.named_parameters())
    for (name, parameter), slope in zip(parameters.items(), slopes, strict=True):
        buffer = learner.optimizer.state[own[name]]["momentum_buffer"]
        velocity = 0.9 * buffer + slope + 0.05 * parameter.detach()
        landed[name] = parameter.detach() - 0.1 * velocity

    def predict(x):
        return functional_call(model, landed, (x,))

    copies = Fixed()(meta, None, None, None)
    boundary, beneath = terms(predict, meta.x, copies.adversary, copies.anti_adversary, meta.y)
    natural = F.cross_entropy(predict(meta.x), meta.y, reduction="none")
    return (w0 * natural).sum() / w0.sum() + 1.5 * (w1 * boundary).sum() / w1.sum() + beneath.mean()


@pytest.fixture
def exact(three_channels, batch, traits_of):
    """Return a method in float64 at a moderate temperature, its batch, traits and meta images."""
    learner = float64(three_channels)
    config = METHODS["caat"](protocol="as-released", temperature=0.5, hidden=8)
    method = config.build(learner)
    method.network.double()
    method.multipliers.load_state({name: v.clone() for name, v in MULTIPLIERS.items()})
    batch = replace(batch, x=batch.x.double())
    traits = replace(traits_of(learner, batch), class_loss=torch.full((10,), 5.0))
    method.meta.start_epoch(1)
    first = method.meta.batch()
    method.meta.start_epoch(1)
    meta = Batch(first.x[:10], first.y[:10], first.index[:10])
    return method, batch, traits, meta


def meta_loss_of(method, batch, traits):
    pseudo = copy.deepcopy(method.learner.model).train()
    _, loss = method._pseudo_loss(pseudo, batch, traits)
    return method._meta_loss(pseudo, method._landed(pseudo, loss), batch)


def test_d4_and_d6_the_meta_loss_is_that_of_the_written_out_step(exact):
    method, batch, traits, meta = exact
    assert not torch.equal(meta.y, batch.y)  # so that it matters whose labels weigh
    found = meta_loss_of(method, batch, traits)
    expected = written_out(method.learner, method.network, batch, meta)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    in_one_mode = written_out(method.learner, method.network, batch, meta, mode="eval")
    assert abs(in_one_mode.item() / expected.item() - 1) > 1e-3


def test_d6_other_labels_of_the_training_batch_weigh_the_same_meta_images_otherwise(exact):
    method, batch, _, _ = exact
    model, losses = method.learner.model.eval(), []
    landed = dict(model.named_parameters())
    for y in (batch.y, batch.y.roll(1)):
        method.meta.start_epoch(1)
        losses.append(method._meta_loss(model, landed, replace(batch, y=y)).item())
    assert abs(losses[0] - losses[1]) > 1e-3


def test_d9_the_meta_gradient_equals_central_differences_through_the_characteristics(exact):
    method, batch, traits, meta = exact
    parameters = list(method.network.parameters())
    found = torch.autograd.grad(meta_loss_of(method, batch, traits), parameters)
    found = torch.cat([gradient.flatten() for gradient in found])
    expected = torch.zeros_like(found)
    flat = nn.utils.parameters_to_vector(parameters).detach()
    for entry in range(len(flat)):
        ends = []
        for shift in (1e-5, -1e-5):
            shifted = flat.clone()
            shifted[entry] += shift
            nn.utils.vector_to_parameters(shifted, parameters)
            ends.append(written_out(method.learner, method.network, batch, meta).item())
        expected[entry] = (ends[0] - ends[1]) / 2e-5
    nn.utils.vector_to_parameters(flat, parameters)
    assert (found - expected).norm() < 1e-6 * expected.norm()
    detached = written_out(method.learner, method.network, batch, meta, detached=True)
    other = torch.autograd.grad(detached, parameters)
    other = torch.cat([gradient.flatten() for gradient in other])
    assert (other - found).norm() > 0.05 * found.norm()


def test_a_meta_step_touches_neither_the_model_nor_its_optimiser(
    released_of, three_channels, batch, step_of
):
    method = released_of(meta_every=1)
    step = step_of(method, three_channels, batch)
    before = copy.deepcopy(three_channels.model.state_dict())
    assert method.learn(step)
    for name, value in three_channels.model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(p.grad is None for p in three_channels.model.parameters())
    step.losses.sum().backward()  # the graph of the real step is still there


def test_a_prediction_that_underflows_breaks_nothing(released_of, three_channels, batch, step_of):
    with torch.no_grad():
        three_channels.model.backbone[-1].bias.copy_(torch.tensor([0.0, 300.0, -300.0]))
    method = released_of(meta_every=1)
    with eval_mode(three_channels.model):
        step = step_of(method, three_channels, batch)
        method.learn(step)
        assert method.assign(batch, step.characteristics).weights.isfinite().all()


# -- what it is called and what it does not take


def label_of(**fields):
    return Scenario.model_validate({"method": {"name": "caat", **fields}}).method.label


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({}, "caat"),
        ({"temperature": 0.1, "bounds": "grad"}, "caat"),
        ({"protocol": "as-released"}, "caat (as-released)"),
        ({"protocol": "as-released", "temperature": 0.001}, "caat (as-released)"),
        ({"protocol": "as-released", "temperature": 1}, "caat (as-released, changed)"),
        ({"protocol": "as-released", "slack": 0.1}, "caat (as-released, changed)"),
    ],
)
def test_a_protocol_that_is_not_the_corrected_one_is_named_and_so_are_changes_to_it(fields, label):
    assert label_of(**fields) == label
    stored = Scenario.model_validate({"method": {"name": "caat", **fields}}).as_json()
    assert Scenario.model_validate(stored).method.label == label


def test_the_card_names_the_protocol(finished):
    assert finished("caat as-released", "small-cnn").final.card.method == (
        "caat (as-released, changed)"
    )
    assert finished("pgd-at", "small-cnn").final.card.method == "pgd-at"


@pytest.mark.parametrize(
    ("field", "value"),
    [("bounds", "grad"), ("copies", "sampled"), ("normalise", False), ("meta_num_steps", 3)],
)
def test_what_the_released_code_cannot_do_is_refused_in_one_line(field, value):
    table = {"method": {"name": "caat", "protocol": "as-released", field: value}}
    with pytest.raises(ValidationError) as error:
        Scenario.model_validate(table)
    assert error_lines(error.value, Scenario) == {
        f"method.{field}": f"{value!r} is not valid with protocol as-released, whose code has one "
        "way only; allowed: leave it out"
    }


@pytest.mark.parametrize(
    ("protocol", "pace"),
    [("corrected", (1.0, 4, 0.01, 0.25)), ("as-released", (0.001, 50, 1e-4, 0.0))],
)
def test_an_empty_field_is_the_protocols_own(protocol, pace):
    assert tuple(vars(METHODS["caat"](protocol=protocol).pace).values()) == pace
    assert METHODS["caat"](protocol=protocol, meta_every=9).pace.meta_every == 9
