import numpy as np
import pytest
from sklearn.metrics import auc, roc_auc_score, roc_curve

from engine.inspection.label_noise import MAX_POINTS, roc, separation


def one_class(num):
    return np.zeros(num, dtype=np.int64)


def test_the_curve_and_its_area_are_scikit_learns():
    rng = np.random.default_rng(0)
    flipped = rng.random(50) < 0.3
    weight = (rng.random(50) + 0.5 * flipped).round(1).astype(np.float32)  # with ties
    found = roc("anti_adversary_weight", weight, flipped, labels=one_class(50))
    false, true, threshold = roc_curve(flipped, weight)
    assert np.array_equal(found.false, false)
    assert np.array_equal(found.true, true)
    assert np.array_equal(found.threshold, threshold)
    assert found.auc == pytest.approx(roc_auc_score(flipped, weight))


@pytest.mark.parametrize("has_anti", [True, False])
def test_the_areas_that_a_run_records_are_scikit_learns(has_anti):
    rng = np.random.default_rng(0)
    flipped = rng.random(500) < 0.3
    anti = (rng.random(500) + 0.5 * flipped).round(1).astype(np.float32)  # with ties
    loss = (rng.exponential(size=500) + flipped).astype(np.float32)
    loss[:3] = 0.0
    columns = {"anti_adversary_weight": anti, "clean_weight": 1.5 - anti, "loss": loss}
    told = "anti_adversary_weight" if has_anti else "clean_weight"
    found = separation(columns, flipped, one_class(500), has_anti=has_anti, told=told)
    assert found["flipped_auc"] == pytest.approx(roc_auc_score(flipped, anti), abs=1e-12)
    assert found["flipped_auc_loss"] == pytest.approx(roc_auc_score(flipped, loss), abs=1e-12)
    assert found["flipped_auc"] != pytest.approx(found["flipped_auc_loss"])


@pytest.mark.parametrize("name", ["clean_weight", "adversary_weight", "margin"])
def test_of_what_trusts_a_sample_the_small_values_are_doubted(name):
    flipped = np.array([True, True, False, False])
    values = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    found = roc(name, values, flipped, labels=one_class(4))
    assert found.auc == 1
    assert roc("loss", values, flipped, labels=one_class(4)).auc == 0
    flags_all_wrong_labels = (found.true == 1) & (found.false == 0)
    assert found.threshold[flags_all_wrong_labels].max() == pytest.approx(0.2)


def test_a_long_curve_is_thinned_and_keeps_ends_and_area():
    rng = np.random.default_rng(0)
    flipped = rng.random(20_000) < 0.2
    values = rng.normal(size=20_000) + flipped
    found = roc("loss", values.astype(np.float32), flipped, labels=one_class(20_000))
    assert len(found.true) <= MAX_POINTS
    assert (found.false[0], found.true[0], found.false[-1], found.true[-1]) == (0, 0, 1, 1)
    assert auc(found.false, found.true) == pytest.approx(found.auc, abs=0.005)


@pytest.mark.parametrize("flipped", [np.zeros(4, bool), np.ones(4, bool)])
def test_without_both_kinds_of_labels_there_is_no_curve(flipped):
    assert roc("loss", np.arange(4.0), flipped, labels=one_class(4)) is None


def test_a_quantity_that_all_samples_share_tells_nothing():
    flipped = np.array([True, False, True, False])
    assert roc("bound", np.ones(4), flipped, labels=one_class(4)) is None
