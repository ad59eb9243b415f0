import numpy as np
import pytest
import torch

from engine.inspection.importance import permutation_importance
from engine.inspection.learned import learned
from engine.meta.characteristics import NAMES
from engine.methods.base import Method
from engine.objective import Objective
from engine.types import Assignment, DeviceImages, ImageSet

N = 40


class ReadsMargin(Method):
    """Sends a sample to the anti-adversary by its margin alone."""

    objective = Objective(climbs="kl", start="normal", anti_adversary=True, characteristics=True)

    def assign(self, batch, characteristics):
        anti = characteristics.margin
        return Assignment(torch.zeros(len(anti)), 1 - anti, anti, torch.full_like(anti, 0.1))


class ReadsMarginForClean(ReadsMargin):
    objective = Objective(climbs="ce", start="normal", clean=True, characteristics=True)


class ReadsNothing(ReadsMargin):
    objective = Objective(climbs="kl", start="normal", anti_adversary=True)


@pytest.fixture
def train():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, N)
    given = np.where(rng.random(N) < 0.3, (true + 1) % 3, true)
    return ImageSet(np.zeros((N, 1, 2, 2), np.uint8), given, true, np.arange(N))


@pytest.fixture
def columns():
    rng = np.random.default_rng(1)
    drawn = {name: rng.random(N).astype(np.float32) for name in NAMES}
    weights = {
        "clean_weight": drawn["entropy"],
        "anti_adversary_weight": drawn["margin"].round(1),  # with ties
    }
    return drawn | weights


def look(method, train, columns):
    images = DeviceImages(torch.from_numpy(train.images), torch.from_numpy(train.labels))
    return learned(method, train, images, columns=columns, rng=torch.Generator().manual_seed(0))


def auc_by_pairs(score, positive):
    """The chance that a positive scores above a negative, a tie counting for one half."""
    pairs = [(p, n) for p in score[positive] for n in score[~positive]]
    return np.mean([(p > n) + (p == n) / 2 for p, n in pairs])


def test_the_auc_is_the_share_of_pairs_in_the_right_order(train, columns):
    flipped = train.labels != train.true_labels
    found = look(ReadsMargin(), train, columns)
    weight = columns["anti_adversary_weight"]
    assert found["flipped_auc"] == pytest.approx(auc_by_pairs(weight, flipped))
    assert found["flipped_auc_loss"] == pytest.approx(auc_by_pairs(columns["loss"], flipped))


def test_without_anti_adversaries_a_small_clean_weight_is_the_doubt(train, columns):
    flipped = train.labels != train.true_labels
    found = look(ReadsMarginForClean(), train, columns)
    assert found["flipped_auc"] == pytest.approx(auc_by_pairs(-columns["clean_weight"], flipped))
    assert not any(name.startswith("anti_adversary") for name in found)


def test_shares_of_anti_adversaries_are_counted_by_right_and_wrong_label(train, columns):
    flipped = train.labels != train.true_labels
    found = look(ReadsMargin(), train, columns)
    weight = columns["anti_adversary_weight"]
    for name, members in (("flipped", flipped), ("clean", ~flipped)):
        count = sum(float(value) > 0.5 for value in weight[members])
        assert found[f"anti_adversary_share_{name}"] == pytest.approx(count / members.sum())
        assert found[f"anti_adversary_weight_{name}"] == pytest.approx(weight[members].mean())
    assert found["anti_adversary_share"] == pytest.approx((weight > 0.5).mean())


def test_without_wrong_labels_nothing_is_said_of_them(train, columns):
    right = ImageSet(train.images, train.labels, train.labels, train.source)
    found = look(ReadsMargin(), right, columns)
    assert not any("flipped" in name or "clean" in name for name in found)
    assert "anti_adversary_share" in found


def test_only_the_characteristic_that_is_read_has_importance(train, columns):
    found = look(ReadsMargin(), train, columns)
    importance = {name: found[f"importance_{name}"] for name in NAMES}
    assert importance.pop("margin") > 0.1
    assert set(importance.values()) == {0.0}


def test_the_importance_is_the_mean_change_of_all_three_weights(train, columns):
    images = DeviceImages(torch.from_numpy(train.images), torch.from_numpy(train.labels))
    rng = torch.Generator().manual_seed(5)
    found = permutation_importance(ReadsMargin(), images, columns, rng=rng)["importance_margin"]
    again = torch.Generator().manual_seed(5)
    chosen, shuffle = torch.randperm(N, generator=again), torch.randperm(N, generator=again)
    margin = columns["margin"][chosen.numpy()]
    moved = np.abs(margin[shuffle.numpy()] - margin)
    assert found == pytest.approx(2 * moved.mean(), rel=1e-5)  # a falls by what b gains, c is 0


def test_a_policy_that_reads_no_characteristics_has_no_such_measures(train, columns):
    assert look(ReadsNothing(), train, columns) == {}


def test_a_run_tells_what_its_weighting_network_reads(finished):
    measures = finished("caat").epochs[-1].measures
    assert {f"importance_{name}" for name in NAMES} <= measures.keys()
    assert max(measures[f"importance_{name}"] for name in NAMES) > 0
    assert 0 <= measures["flipped_auc"] <= 1
    assert "flipped_auc" not in finished("trades").epochs[-1].measures
