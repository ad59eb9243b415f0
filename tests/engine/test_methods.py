"""What every method promises, whatever the classes it meets; the rules bind plug-ins as well."""

import pytest
import torch

from caat_studio_contracts import methods as rules
from engine.methods.base import METHODS

NO_BALL, OWN_BALL = (0.0, 0.0), (1.0, 1.0)
REACH = {
    "standard": NO_BALL,
    "meta-weight-net": NO_BALL,
    "caat": (0.98, 2.5),
    "caat-rl": (0.5, 1.5),
    "caat as-released": (1.25 * 0.98, 1.25 * 2.5),
    "cfa": (0.3, 1.3),
    "dafa": (0.05, 2.0),
    "trix": (0.05, 2.0),
    "frl-remargin": (0.98, 2.5),
    "frl-reweight-remargin": (0.98, 3.0),
}
"""Narrowest and widest ball, in epsilons."""
EAGER = {"fairness_from": 0.0, "warm_up": 0.3, "meta_every": 1, "hidden": 8, "slack": 0.0}


OTHER_WAYS = {
    "caat as-released": {"protocol": "as-released"},
    "caat hedge": {"prices": "hedge", "eta": 2.0, "normalise_prices": False},
    "caat group-dro": {"prices": "group-dro", "eta": 2.0, "shrink": True},
    "caat none": {"prices": "none"},
    "caat worst-class": {"meta_objective": "worst-class"},
    "caat-rl fixed": {"bounds": "fixed", "prices": "group-dro"},
}
"""Fields that make another policy of CAAT."""
POLICIES = [*METHODS.names(), *OTHER_WAYS]


def builder(name):
    config = METHODS[name.split()[0]]
    eager = {k: v for k, v in EAGER.items() if k in config.model_fields}
    if name == "caat-weighted":
        del eager["slack"]  # its prices and bounds do not read it
    return config(**eager, **OTHER_WAYS.get(name, {})).build


def reach(name):
    return REACH.get(name) or REACH.get(name.split()[0], OWN_BALL)


@pytest.mark.parametrize(("num_classes", "labels"), rules.CASES)
@pytest.mark.parametrize("name", POLICIES)
def test_assignments_keep_their_promises_for_any_classes(name, num_classes, labels):
    rules.assigns_to_any_classes(builder(name), num_classes, labels, reach=reach(name))


@pytest.mark.parametrize("name", POLICIES)
def test_errors_that_stay_extreme_for_a_whole_run_break_no_promise(name):
    rules.withstands_extreme_errors(builder(name), reach=reach(name))


@pytest.mark.parametrize("name", POLICIES)
def test_what_a_method_has_learned_goes_round(name):
    rules.what_it_has_learned_goes_round(builder(name))


@pytest.mark.parametrize("name", METHODS.names())
def test_a_method_is_documented_with_its_paper_and_every_field_with_its_meaning(name):
    rules.is_documented(METHODS[name])


@pytest.mark.parametrize("name", ["standard", "meta-weight-net"])
def test_clean_training_runs_no_attack(name, learner, batch, step_of, monkeypatch):
    def attacked(*arguments, **options):
        raise AssertionError("an attack was run")

    monkeypatch.setattr("engine.perturbation.training.perturb", attacked)
    method = builder(name)(learner)
    method.start_epoch(1, None)
    step = step_of(method, learner, batch)
    assert step.copies.adversary is None
    assert step.adversary_logits is None
    method.learn(step)


def test_standard_training_is_the_mean_cross_entropy(learner, batch, step_of):
    method = builder("standard")(learner)
    learner.model.eval()
    step = step_of(method, learner, batch)
    loss = (method.assign(batch, None).weights * step.losses).sum(dim=1).mean()
    expected = torch.nn.functional.cross_entropy(learner.model(batch.x), batch.y)
    torch.testing.assert_close(loss, expected)
