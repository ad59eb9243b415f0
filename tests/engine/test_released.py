"""Each defect of CAAT's released code outside its meta step, as a rule with a check of its own."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from engine.meta.characteristics import Characteristics
from engine.meta.networks import ReleasedNetwork
from engine.methods.base import METHODS
from engine.mistakes import error_lines
from engine.scenario import Scenario
from engine.seeds import torch_stream
from tests.engine.released import EPSILON, MEAN, STD, colour_batch

FACTORS = torch.tensor([math.exp(0.5), 0.98, 2.5])


@pytest.fixture
def batch():
    return colour_batch()


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


# -- D7: a network that hardly learns


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
