import numpy as np
import pytest

from engine.inspection.gallery import LARGEST, SMALLEST, choose
from engine.methods.base import METHODS

REASONS = {LARGEST, SMALLEST, "drawn at random"}


def columns_of(weights: np.ndarray) -> dict[str, np.ndarray]:
    return {"anti_adversary_weight": weights}


@pytest.mark.parametrize("num_classes", [2, 10, 20, 21, 100, 300])
def test_a_gallery_has_at_most_eight_of_a_class_and_160_in_all(num_classes):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(num_classes), 12)
    rows, reasons = choose(columns_of(rng.random(len(labels))), labels, num_classes, seed=0)
    assert len(rows) == len(reasons) == len(set(rows.tolist())) <= 160
    assert np.bincount(labels[rows]).max() <= 8
    assert len(rows) > 80 or num_classes <= 10
    if num_classes <= 160:
        assert set(labels[rows]) == set(range(num_classes))


def test_the_extremes_of_a_class_are_in_and_said_to_be():
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(5), 40)
    weight = rng.random(200)
    rows, reasons = choose(columns_of(weight), labels, 5, seed=0)
    why = dict(zip(rows.tolist(), reasons, strict=True))
    assert set(reasons) == REASONS
    for label in range(5):
        mine = np.flatnonzero(labels == label)
        order = mine[np.argsort(weight[mine])]
        assert [why[row] for row in order[:2]] == [SMALLEST] * 2
        assert [why[row] for row in order[-2:]] == [LARGEST] * 2
        assert sum(why.get(row) == "drawn at random" for row in mine) == 4


def test_equal_weights_have_no_extremes():
    labels = np.repeat(np.arange(3), 20)
    _, reasons = choose(columns_of(np.zeros(60)), labels, 3, seed=0)
    assert set(reasons) == {"drawn at random"}


def test_small_and_empty_classes_give_what_they_have():
    labels = np.array([0, 0, 0, 2])
    rows, _ = choose(columns_of(np.array([0.1, 0.9, 0.5, 0.5])), labels, 4, seed=0)
    assert rows.tolist() == [0, 1, 2, 3]


def test_the_draw_is_the_runs_own():
    labels = np.repeat(np.arange(3), 200)
    weights = columns_of(np.zeros(600))
    first, again, other = (choose(weights, labels, 3, seed=seed)[0].tolist() for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("method", ["pgd-at", "trades", "caat"])
def test_a_gallerys_copies_lie_inside_their_samples_bounds(method, finished):
    for report in finished(method, "small-cnn").epochs:
        shown = report.snapshot.gallery
        n = len(shown["sample"])
        assert 10 <= n <= 80
        assert set(shown["chosen_for"]) <= REASONS
        for name in ("adversary_delta", "anti_adversary_delta"):
            delta = shown[name].astype(np.float64)
            assert shown[name].dtype == np.float16
            assert delta.shape == shown["image"].shape == (n, 1, 8, 8)
            reach = np.abs(delta).max(axis=(1, 2, 3))
            assert (reach <= shown["bound"] * (1 + 2**-10) + 1e-6).all()
            assert (reach > 0).all()
            moved = shown["image"] / 255 + delta
            assert moved.min() >= -1e-4
            assert moved.max() <= 1 + 1e-4


def test_a_gallery_shows_the_samples_as_they_are(finished):
    record = finished("caat", "small-cnn")
    shown, columns = record.epochs[-1].snapshot.gallery, record.epochs[-1].snapshot.columns
    row_of = {sample: row for row, sample in enumerate(record.samples["sample"].tolist())}
    rows = [row_of[sample] for sample in shown["sample"].tolist()]
    for name in ("given_label", "true_label"):
        assert np.array_equal(shown[name], record.samples[name][rows])
    for name in ("adversary_weight", "anti_adversary_weight", "bound"):
        assert np.array_equal(shown[name], columns[name][rows])
    p, p_adv, p_anti = (
        shown[f"{kind}probability"] for kind in ("", "adversary_", "anti_adversary_")
    )
    assert (p_anti > p).all()
    assert p_adv.shape == p.shape
    assert ((p >= 0) & (p <= 1)).all()


@pytest.mark.parametrize("method", [name for name in METHODS.names() if name != "standard"])
def test_in_l2_every_method_trains_and_keeps_its_copies_inside_their_bounds(
    method, scenario_of, run
):
    l2 = {"norm": "l2", "epsilon": 0.5, "num_steps": 2}
    record = run(scenario_of(method, threat=l2, training={"epochs": 1, "batch_size": 16}))
    shown = record.epochs[-1].snapshot.gallery
    for name in ("adversary_delta", "anti_adversary_delta"):
        delta = shown[name].astype(np.float64)
        length = np.sqrt((delta**2).sum(axis=(1, 2, 3)))
        assert (length <= shown["bound"] * 1.01 + 1e-3).all()  # kept as float16
    card = record.final.card
    assert (card.norm, card.epsilon, card.step_size) == ("l2", 0.5, 0.125)


def test_nobody_of_a_small_class_is_both_the_largest_and_the_smallest():
    labels = np.array([0, 0, 1, 1, 1])
    rows, reasons = choose(columns_of(np.array([0.9, 0.1, 0.2, 0.5, 0.8])), labels, 2, seed=0)
    assert rows.tolist() == [0, 1, 2, 3, 4]
    assert reasons == [LARGEST, SMALLEST, SMALLEST, "drawn at random", LARGEST]
