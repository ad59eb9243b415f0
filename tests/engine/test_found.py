"""Settings that a search found: each is one that its method can have."""

import pytest

from engine.data.config import DataConfig
from engine.found import KINDS, found, kind_of, methods_found
from engine.methods.base import METHODS
from engine.new_scenario import new_scenario

EVERY = [(kind, method) for kind in KINDS for method in methods_found(kind)]
NOISE, IMBALANCE = {"noise": {"ratio": 0.1}}, {"imbalance": {"factor": 2}}


@pytest.mark.parametrize(("kind", "method"), EVERY)
def test_what_was_found_can_be_trained_and_differs_from_the_defaults_as_it_says(kind, method):
    one = found(kind, method)
    assert one.tried > 1
    fields = {"name": method, **one.fields}
    scenario = new_scenario({"method": fields, "training": {"epochs": 10, **one.training}})
    for name, value in one.fields.items():
        assert getattr(scenario.method, name) == value
    for name, value in one.training.items():
        assert getattr(scenario.training, name) == value


def test_something_was_searched_for_the_papers_kinds_of_data():
    assert {"caat", "trades", "wat"} <= set(methods_found("imbalance"))
    assert all(method in METHODS.names() for _, method in EVERY)


def test_what_nobody_searched_is_not_found():
    assert found("standard", "magic") is None


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({}, "standard"),
        (NOISE, "noise"),
        (IMBALANCE, "imbalance"),
        ({**NOISE, **IMBALANCE}, "both"),
        ({"noise": {"kind": "pair", "ratio": 0.0}}, "standard"),
    ],
)
def test_the_kind_of_data_is_read_off_noise_and_imbalance(data, kind):
    assert kind_of(DataConfig.model_validate(data)) == kind
