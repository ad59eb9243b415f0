"""Which results may stand in one ranking."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.compare.protocol import differences, digest_of, in_words, protocol_of

CARD = {
    "method": "caat",
    "attack": "pgd",
    "label": "PGD-20",
    "norm": "linf",
    "epsilon": 8 / 255,
    "step_size": 2 / 255,
    "num_steps": 20,
    "restarts": 1,
    "split": "test",
    "n": 10_000,
    "checkpoint": "last epoch",
    "seed": 0,
    "versions": {"torch": "2.13.0"},
}
LAST = {"evaluation": {"checkpoint": "last"}}
BEST = {"evaluation": {"checkpoint": "best"}}


def protocol(dataset: str = "digits", scenario=LAST, **change):
    return protocol_of({**CARD, **change}, dataset, scenario)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "trades"},
        {"seed": 7},
        {"versions": {"torch": "2.12.0"}},
        {"checkpoint": "last epoch, 7; stopped early of 10"},
    ],
)
def test_method_seed_and_versions_are_no_part_of_the_protocol(change):
    one, other = protocol(), protocol(**change)
    assert digest_of(one) == digest_of(other)
    assert differences([one, other]) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"epsilon": 16 / 255}, "ε: 8/255 or 16/255"),
        ({"norm": "l2"}, "threat model: linf or l2"),
        ({"attack": "apgd-ce"}, "attack: pgd or apgd-ce"),
        ({"n": 500}, "images: 10000 or 500"),
        ({"step_size": None}, "step: 2/255 or not told"),
        ({"batch_norm": "train"}, "batch norm: not told or train"),
        ({"scenario": BEST}, "weights: last epoch or best on validation data"),
    ],
)
def test_anything_else_is_and_is_named(change, told):
    one, other = protocol(), protocol(**change)
    assert digest_of(one) != digest_of(other)
    (line,) = differences([one, other, one])
    assert line.startswith(told)


POSITIVE = st.floats(1e-12, 300)


@given(POSITIVE, POSITIVE | st.integers(1, 9))
def test_two_radii_that_differ_in_any_digit_are_told_apart(radius, step):
    """An integer is a number of steps to the next float, as close as two numbers can be."""
    other = radius if isinstance(step, int) else step
    for _ in range(step if isinstance(step, int) else 0):
        other = math.nextafter(other, math.inf)
    found = differences([protocol(epsilon=e) for e in (radius, other)])
    if radius == other:
        assert found == []
        return
    (line,) = found
    one, two = line.removeprefix("ε: ").split(" or ")
    assert one != two


def test_the_best_epoch_of_two_runs_may_be_another_one():
    said = [f"epoch {epoch} of 9, best on validation data" for epoch in (3, 8)]
    one, other = (protocol(scenario=BEST, checkpoint=words) for words in said)
    assert one == other


@pytest.mark.parametrize("scenario", [LAST, BEST, {}])
def test_how_the_card_words_its_weights_decides_nothing(scenario):
    """Which runs stand in one ranking is never read out of a sentence."""
    words = ("last epoch", "epoch 3 of 9, best on validation data", "Epoche 3, die beste", "")
    assert len({digest_of(protocol(scenario=scenario, checkpoint=said)) for said in words}) == 1


def test_a_scenario_of_old_that_names_no_checkpoint_was_tested_at_its_last_epoch():
    assert protocol(scenario={}) == protocol(scenario=LAST)
    assert protocol(scenario={"evaluation": None}) == protocol(scenario=LAST)


def test_another_dataset_is_another_protocol():
    one, other = protocol("digits"), protocol("cifar10")
    assert differences([one, other]) == ["dataset: digits or cifar10"]


def test_a_protocol_is_said_in_one_line():
    assert in_words(protocol()) == ("digits: PGD-20, linf, ε = 8/255, test, n = 10,000, last epoch")
    more = protocol(restarts=5)
    assert in_words(more).startswith("digits: PGD-20 with 5 restarts, linf")
    scaled = protocol(space="normalised values")
    assert in_words(scaled).endswith("last epoch, not in pixels: normalised values")


def test_a_result_without_a_card_is_comparable_to_none_that_has_one():
    unknown = protocol_of(None, "digits", LAST)
    assert in_words(unknown) == "digits: protocol not recorded"
    assert digest_of(unknown) != digest_of(protocol())
