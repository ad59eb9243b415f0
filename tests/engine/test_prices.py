"""Class prices: each kind against its formula written out, and what CAAT does with them."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from engine.evaluation.class_errors import ClassErrors
from engine.meta.class_means import shrunk_errors
from engine.meta.multipliers import ClassMultipliers
from engine.meta.prices import EqualPrices, GroupDro, Hedge
from engine.methods.base import METHODS
from engine.mistakes import error_lines
from engine.scenario import Scenario

SEEN = [[0.4, 1.9, 0.7, 1.0], [0.1, 2.5, 0.2, 0.9], [3.0, 0.0, 0.6, 1.2]]
"""What was measured after three epochs: three classes, then their average."""
ERRORS = ClassErrors(torch.tensor([0.5, 0.1, 0.3]), torch.tensor([0.2, 0.6, 0.1]))
MOVING = ("multipliers", "hedge", "group-dro")


def walked(kind, eta):
    rows = iter(torch.tensor(SEEN))
    prices = kind(3, eta=eta, measure=lambda: next(rows), device=torch.device("cpu"))
    for _ in SEEN:
        prices.update()
    return prices


@pytest.mark.parametrize("eta", [0.0, 0.1, 1.7])
def test_hedge_is_its_closed_form_over_the_classes_and_their_average(eta):
    bets = [math.exp(eta * sum(costs)) for costs in zip(*SEEN, strict=True)]
    experts = [3 * bet / sum(bets) for bet in bets]
    expected = torch.tensor([own + experts[3] for own in experts[:3]])
    prices = walked(Hedge, eta)
    torch.testing.assert_close(prices.natural_weights(), expected)
    torch.testing.assert_close(prices.boundary_weights(), expected)


def test_before_the_first_costs_hedge_weighs_a_class_two_as_released():
    prices = Hedge(3, eta=0.5, measure=lambda: None, device=torch.device("cpu"))
    assert prices.natural_weights().tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("eta", [0.0, 0.1, 1.7])
def test_group_dro_is_exponentiated_gradient_by_plain_loops(eta):
    q = [1 / 3] * 3
    for losses in SEEN:  # the average is no group
        q = [own * math.exp(eta * loss) for own, loss in zip(q, losses, strict=False)]
        q = [own / sum(q) for own in q]
    prices = walked(GroupDro, eta)
    torch.testing.assert_close(prices.natural_weights(), torch.tensor([3 * own for own in q]))
    assert prices.natural_weights().mean().item() == pytest.approx(1)


def test_a_step_of_group_dro_is_the_best_one_that_pays_for_its_distance():
    """q maximises eta <q, l> - KL(q || q before): exponentiated gradient is mirror ascent."""
    losses = torch.tensor([0.3, 2.0, 1.1, 9.9])
    prices = GroupDro(3, eta=0.8, measure=lambda: losses, device=torch.device("cpu"))
    prices.log_q = torch.tensor([0.2, 0.5, 0.3]).log()
    before = prices.log_q.double()
    prices.update()

    def gain(q):
        return (0.8 * q * losses[:3] - q * (q.log() - before)).sum().item()

    best = gain(prices.log_q.double().exp())
    rng = torch.Generator().manual_seed(0)
    others = torch.rand(2000, 3, generator=rng, dtype=torch.float64)
    assert all(gain(other / other.sum()) < best + 1e-7 for other in others)


def test_equal_prices_never_move():
    prices = EqualPrices(3)
    prices.update(ERRORS)
    assert prices.natural_weights().tolist() == prices.boundary_weights().tolist() == [1.0] * 3
    assert prices.state() == {}


@pytest.mark.parametrize("kind", [Hedge, GroupDro])
def test_prices_go_round(kind):
    prices, other = walked(kind, 0.7), walked(kind, 0.7)
    other.load_state({name: value.clone() for name, value in prices.state().items()})
    assert torch.equal(other.natural_weights(), prices.natural_weights())


def test_multipliers_that_shrink_read_the_shrunk_errors():
    settings = {"slack": 0.0, "rate": 0.3, "bound_rate": 0.2, "limit": 0.5}
    counts = torch.tensor([8, 8, 8])
    own, told = ClassMultipliers(3, counts=counts, **settings), ClassMultipliers(3, **settings)
    own.update(ERRORS)
    told.update(shrunk_errors(ERRORS, counts))
    assert own.natural.any()
    for name, value in own.state().items():
        assert torch.equal(value, told.state()[name])
    plain = ClassMultipliers(3, **settings)
    plain.update(ERRORS)
    assert not torch.equal(plain.margin, own.margin)


@pytest.mark.parametrize("name", ["frl-reweight", "frl-reweight-remargin", "frl-remargin", "caat"])
def test_a_methods_multipliers_shrink_by_its_validation_images_where_it_says_so(name, learner):
    given = [METHODS[name](shrink=on).build(learner).multipliers.counts for on in (True, False)]
    assert given[0].tolist() == [4, 4, 4]
    assert given[1] is None


@pytest.mark.parametrize("fields", [{"name": "wat"}, {"name": "caat", "prices": "hedge"}])
def test_costs_are_shrunk_and_their_average_is_not(fields, learner):
    costs = {}
    for shrink in (False, True):
        method = Scenario(method={**fields, "shrink": shrink}).method.build(learner)
        learner.attack.rng.manual_seed(3)
        method.prices.update()
        costs[shrink] = method.prices.costs
    assert torch.equal(costs[True][-1], costs[False][-1])
    assert costs[True][:-1].var() < costs[False][:-1].var()


# -- in CAAT


@pytest.fixture
def caat_of(learner):
    def build(**fields):
        method = METHODS["caat"](fairness_from=0.0, **fields).build(learner)
        learner.attack.rng.manual_seed(3)
        method.start_epoch(1, None)
        method.start_epoch(2, ERRORS)
        return method

    return build


@pytest.mark.parametrize("beta", [1.5, 6.0])
def test_hedge_in_caat_bets_on_the_costs_of_wat(caat_of, learner, beta):
    caat = caat_of(prices="hedge", eta=0.3, beta=beta)
    wat = METHODS["wat"](eta=0.3, beta=beta).build(learner)
    learner.attack.rng.manual_seed(3)
    wat.start_epoch(2, None)
    assert torch.equal(caat.prices.costs, wat.prices.costs)
    assert torch.equal(caat.prices.natural_weights(), wat.prices.natural_weights())


def test_group_dro_in_caat_reads_the_cross_entropy_of_the_adversary(caat_of, learner):
    caat = caat_of(prices="group-dro", eta=0.3)
    learner.attack.rng.manual_seed(3)
    everything = learner.validation.batch(torch.arange(12))
    _, log_q = learner.attacked(everything, caat.meta_loss.objective)
    losses = F.nll_loss(log_q, everything.y, reduction="none")
    grown = [math.exp(0.3 * losses[everything.y == k].mean().item()) for k in range(3)]
    expected = torch.tensor([3 * value / sum(grown) for value in grown])
    torch.testing.assert_close(caat.prices.natural_weights(), expected)


@pytest.mark.parametrize("normalise_prices", [True, False])
@pytest.mark.parametrize("prices", MOVING)
def test_a_sample_weighs_its_classs_price(
    caat_of, learner, batch, traits_of, prices, normalise_prices
):
    fields = {"eta": 2.0} if prices != "multipliers" else {"multiplier_rate": 1.0, "slack": 0.0}
    caat = caat_of(prices=prices, normalise_prices=normalise_prices, normalise=False, **fields)
    traits = traits_of(learner, batch)
    given = caat.assign(batch, traits)
    alpha = 1 - given.anti_adversary
    for found, weights in (
        (given.clean, caat.prices.natural_weights()),
        (given.adversary / 1.5, caat.prices.boundary_weights()),
    ):
        own = weights[batch.y]
        scale = own.mean() if normalise_prices else (1 / 3 if prices == "multipliers" else 1)
        assert own.unique().numel() > 1
        torch.testing.assert_close(found, alpha * own / scale)


def test_without_prices_caat_is_caat_whose_multipliers_have_not_moved(
    caat_of, learner, batch, traits_of
):
    traits = traits_of(learner, batch)
    still = caat_of(multiplier_rate=0.0).assign(batch, traits)
    none = caat_of(prices="none").assign(batch, traits)
    torch.testing.assert_close(none.weights, still.weights)
    assert torch.equal(none.bound, still.bound)
    assert none.bound.unique().numel() > 1  # ReMargin's multipliers move as ever


@pytest.mark.parametrize("prices", ["hedge", "group-dro"])
def test_a_price_that_underflows_still_gives_finite_weights(
    caat_of, learner, batch, traits_of, step_of, prices
):
    caat = caat_of(prices=prices)
    if prices == "hedge":
        caat.prices.costs = torch.tensor([1e5, 0.0, 0.0, 0.0])
    else:
        caat.prices.log_q = torch.tensor([0.0, -1e5, -1e5])
    rare = replace(batch, y=torch.ones_like(batch.y))
    assert caat.assign(rare, traits_of(learner, rare)).weights.isfinite().all()
    caat.learn(step_of(caat, learner, rare))
    assert all(value.isfinite().all() for value in caat.state().values())


def test_prices_wait_for_their_share_of_the_run(learner):
    caat = METHODS["caat"](prices="hedge", fairness_from=0.5).build(learner)  # of four epochs
    moved = []
    for epoch in (1, 2, 3, 4):
        caat.start_epoch(epoch, None if epoch == 1 else ERRORS)
        moved.append(bool(caat.prices.costs.any()))
    assert moved == [False, False, True, True]


def test_a_checkpoint_of_before_is_loaded_and_holds_what_it_held(caat_of):
    state = {name: value.clone() for name, value in caat_of().state().items()}
    assert not any(name.startswith("prices.") for name in state)
    assert {"multipliers.natural", "multipliers.boundary", "multipliers.margin"} <= state.keys()
    caat_of().load_state(state)
    assert "prices.costs" in caat_of(prices="hedge").state()


RESUMED = [
    *({"prices": kind, "slack": 0.0} for kind in (*MOVING, "none")),
    {"prices": "hedge", "eta": 2.0, "shrink": True, "normalise_prices": False},
    {"prices": "multipliers", "shrink": True, "slack": 0.0, "copies": "sampled"},
]


@pytest.mark.parametrize("fields", RESUMED, ids=lambda fields: "-".join(map(str, fields.values())))
def test_a_resumed_run_ends_like_one_that_never_stopped(fields, run, scenario_of, assert_equal):
    method = {"fairness_from": 0.0, "meta_every": 2, "meta_batch_size": 16, "hidden": 8, **fields}
    scenario = scenario_of("caat", method=method, training={"epochs": 3})
    whole = run(scenario)
    resumed = run(scenario, resume=(2, whole.epochs[1].state))
    assert_equal(resumed.epochs[0], whole.epochs[2])
    assert_equal(resumed.final, whole.final)


# -- in a scenario


REFUSED = [
    ({"eta": 0.2}, "eta", "0.2 is not valid with prices multipliers"),
    ({"prices": "none", "eta": 0.2}, "eta", "0.2 is not valid with prices none"),
    ({"prices": "hedge", "multiplier_rate": 0.1}, "multiplier_rate", "with prices hedge"),
    ({"prices": "group-dro", "multiplier_limit": 0.1}, "multiplier_limit", "prices group-dro"),
    ({"prices": "hedge", "bounds": "grad", "slack": 0.0}, "slack", "hedge and bounds grad"),
    ({"prices": "none", "bounds": "fixed", "shrink": True}, "shrink", "none and bounds fixed"),
    ({"prices": "none", "bounds": "fixed", "fairness_from": 0.5}, "fairness_from", "none"),
    ({"prices": "none", "normalise_prices": False}, "normalise_prices", "with prices none"),
    ({"protocol": "as-released", "prices": "hedge"}, "prices", "has one way only"),
    ({"protocol": "as-released", "shrink": True}, "shrink", "has one way only"),
    ({"protocol": "as-released", "normalise_prices": False}, "normalise_prices", "one way only"),
    ({"prices": "hedges"}, "prices", "allowed: multipliers, hedge, group-dro, none"),
]


@pytest.mark.parametrize(("fields", "path", "says"), REFUSED)
def test_a_field_that_changes_nothing_is_refused_in_one_line(fields, path, says):
    with pytest.raises(ValidationError) as error:
        Scenario(method=fields)
    ((where, line),) = error_lines(error.value, Scenario).items()
    assert where == f"method.{path}"
    assert says in line
    assert "allowed" in line
    assert "\n" not in line


@pytest.mark.parametrize("prices", ["hedge", "none"])
def test_what_the_bounds_read_is_allowed_whatever_the_prices(prices):
    fields = {"slack": 0.0, "shrink": True, "fairness_from": 0.5, "bound_rate": 0.1}
    assert Scenario(method={"prices": prices, **fields}).method.slack == 0.0


YOUNGER = {"prices", "eta", "normalise_prices", "shrink"}
DIGESTS = {
    "caat": "c913dcf44cbe54774fb7b9429a992cffeb7afff0e42f65f8006a7154aee5db3f",
    "wat": "769ec129424530962af8e51ff70f4a61ccac41c0410bc324dc73ee47fcecb966",
    "frl-reweight": "135ef48382d1b89d1aeb97aa42a9a67b18821a188bdfa350bfc89f999794ca06",
    "frl-remargin": "7e1441dc27f04f740b0e60b48f75cab551b987cf8baf402bd21f68f97bc11cba",
    "frl-reweight-remargin": "854cb16a25a72ff3e6976b38018bc4f0c684e1478c16e35761b49694bd7d416d",
}


@pytest.mark.parametrize("name", DIGESTS)
def test_a_scenario_without_the_younger_fields_keeps_its_digest(name):
    scenario = Scenario(method={"name": name})
    own = scenario.as_json()["method"]
    assert not YOUNGER & own.keys() - ({"eta"} if name == "wat" else set())
    assert scenario.digest() == DIGESTS[name]


@pytest.mark.parametrize(
    "fields", [{"prices": "hedge"}, {"prices": "hedge", "eta": 0.1}, {"shrink": True}]
)
def test_the_younger_fields_go_round_where_they_are_set(fields):
    scenario = Scenario(method=fields)
    assert fields.items() <= scenario.as_json()["method"].items()
    assert Scenario.model_validate(scenario.as_json()) == scenario
    assert scenario.digest() != Scenario().digest()
