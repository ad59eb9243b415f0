"""What the method gave each sample: with noise, without, for every kind of method."""

import numpy as np
import pandas as pd
import pytest

from app.samples import by_class, tables, words
from app.samples.choice import read_range, write_range
from app.samples.tables import Filter
from db.writes import records
from engine.inspection.label_noise import roc
from engine.meta.characteristics import NAMES as TRAITS
from engine.methods.base import METHODS
from tasks.recording import checkpoints
from tests.app.shown import figures

N = 200


def says(page) -> str:
    kinds = (page.title, page.subheader, page.markdown, page.caption, page.info)
    return "\n".join(element.value for kind in kinds for element in kind).replace("\\", "")


def who() -> dict[str, np.ndarray]:
    sample = np.arange(N)
    given = sample % 10
    true = np.where(sample % 5 == 0, (given + 1) % 10, given)
    return {"sample": sample, "given_label": given, "true_label": true}


def weights(epoch: int) -> dict[str, np.ndarray]:
    """Wrong labels get anti-adversary weights from 0.6 on, right ones below 0.4."""
    rng = np.random.default_rng(epoch)
    flipped = who()["given_label"] != who()["true_label"]
    anti = np.where(flipped, 0.6, 0.0) + 0.4 * rng.random(N)
    found = {
        "clean_weight": 1 - anti,
        "adversary_weight": 1.5 * (1 - anti),
        "anti_adversary_weight": anti,
        "bound": np.full(N, 8 / 255),
        **{name: rng.normal(size=N) for name in TRAITS},
    }
    return {name: values.astype(np.float32) for name, values in found.items()}


@pytest.fixture
def learned(studio):
    """Makes a finished run whose weights find the wrong labels, or one of another method."""

    def make(values=weights, epochs: int = 3, **settings) -> str:
        return studio.learned(values, epochs, **settings)

    return make


# -- the page


def test_without_recorded_epochs_the_page_offers_to_start_a_run(studio, open_page):
    studio.queued("Waits")
    page = open_page("samples")
    assert "No weights yet" in says(page)
    assert [link.proto.label for link in page.get("page_link")] == ["Start a new run"]


def test_a_run_that_has_recorded_nothing_says_so_and_is_linked(studio, open_page):
    page = open_page("samples", run=studio.queued("Waits"))
    assert "No weights of Waits yet" in says(page)
    assert page.get("page_link")[0].proto.label == "Waits"


def test_a_link_to_no_run_says_so_and_leads_home(studio, open_page, learned):
    learned()
    page = open_page("samples", run="0" * 32)
    assert "There is no run with the id" in says(page)
    assert page.get("page_link")[0].proto.label == "All runs"
    assert not figures(page)


def test_the_answer_is_a_sentence_with_means_and_auc(open_page, learned):
    page = open_page("samples", run=learned())
    anti = weights(3)["anti_adversary_weight"]
    flipped = who()["given_label"] != who()["true_label"]
    wrong, right = anti[flipped].mean(), anti[~flipped].mean()
    line = f"Wrong labels get mean anti-adversary weight {wrong:.3g}, right ones {right:.3g}"
    assert f"{line}: ROC AUC 1.00" in says(page)
    assert len(figures(page)) == 5


def test_every_choice_comes_from_the_link(open_page, learned):
    link = {"quantity": "margin", "epoch": "2", "labels": "clean", "trait": "loss"}
    page = open_page("samples", run=learned(), **link, classes=["0", "1"])
    said = says(page)
    assert "Margin in epoch 2, right labels, by given label" in said
    kept = np.isin(who()["given_label"], [0, 1]) & (who()["given_label"] == who()["true_label"])
    assert f"**{kept.sum()}** of 200 training samples in epoch 2 meet the choice" in said
    assert page.selectbox(key="choice-quantity").value == "margin"


def test_choices_that_do_not_exist_fall_back_instead_of_failing(open_page, learned):
    link = {"quantity": "x", "epoch": "99", "labels": "x", "weight-range": "b..a", "sample": "-"}
    page = open_page("samples", run=learned(), **link, classes="77")
    said = says(page)
    assert "Anti-adversary weight of 200 training samples in epoch 3" in said
    assert "This link's sample is not in this run" in said


def test_ranges_in_the_link_choose_the_samples_of_the_table(open_page, learned):
    link = {"weight-range": "0.6..1", "trait-range": "-0.5..0.5", "trait": "entropy"}
    page = open_page("samples", run=learned(), **link)
    table = page.dataframe[-1].value
    found = weights(3)
    wanted = (found["anti_adversary_weight"] >= 0.6) & (np.abs(found["entropy"]) <= 0.5)
    assert sorted(table["sample"]) == np.flatnonzero(wanted).tolist()
    assert (table["given_class"] != table["true_class"]).all()
    assert table["anti_adversary_weight"].is_monotonic_decreasing


@pytest.mark.parametrize("is_here", [True, False])
def test_cards_show_stored_adversaries_and_else_the_training_image(
    open_page, learned, monkeypatch, is_here
):
    image = np.zeros((1, 8, 8), np.uint8) if is_here else None
    monkeypatch.setattr("app.samples.reads.training_image", lambda *which: image)
    page = open_page("samples", run=learned(), order="stored", classes="0")
    # Of class 0 the gallery holds samples 0 and 10, each with five tiles; six stand on a page.
    assert len(page.get("image")) == 2 * 5 + (4 if is_here else 0)
    assert [button.label for button in page.button].count("History") == 6


def test_a_training_image_is_found_by_its_number_and_only_with_its_label(studio, data_dir):
    from app.samples.reads import training_image
    from engine.data.datasets.base import datasets

    part = datasets()["digits"].load(data_dir)[0]
    number, label = int(part.source[7]), int(part.labels[7])
    assert np.array_equal(training_image("digits", number, label), part.images[7])
    assert training_image("digits", number, label + 1) is None
    assert training_image("digits", 10**9, label) is None
    assert training_image("gone", number, label) is None


def test_a_sample_of_the_link_stands_with_its_history(open_page, learned):
    page = open_page("samples", run=learned(), sample="7")
    assert "**class h** :gray[· sample 7]" in says(page)
    drawn = next(f for f in figures(page) if f["layout"]["height"] == 240)
    (anti,) = [t for t in drawn["data"] if t["name"] == "Anti-adversary weight"]
    expected = [weights(epoch)["anti_adversary_weight"][7] for epoch in (1, 2, 3)]
    values = anti["y"]
    if isinstance(values, dict):
        import base64

        values = np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    assert list(values) == pytest.approx(expected)


def even(epoch: int) -> dict[str, np.ndarray]:
    zero, one = np.zeros(N, np.float32), np.ones(N, np.float32)
    return {
        "clean_weight": zero,
        "adversary_weight": one,
        "anti_adversary_weight": zero,
        "bound": 8 / 255 * one,
    }


def test_a_method_without_weights_of_its_own_says_so(open_page, learned):
    run_id = learned(even, method={"name": "pgd-at"})
    said = says(open_page("samples", run=run_id, quantity="adversary_weight"))
    assert "pgd-at gives every sample the same adversary weight, 1" in said
    assert "pgd-at has no weighting network" in said
    assert "is the same for all of these samples, so it finds nothing" in said


def test_a_weight_of_classes_is_told_from_one_of_samples(open_page, learned):
    def by_label(epoch):
        return even(epoch) | {"adversary_weight": (1 + who()["given_label"]).astype(np.float32)}

    run_id = learned(by_label, method={"name": "wat"})
    said = says(open_page("samples", run=run_id, quantity="adversary_weight"))
    assert "Adversary weight differs between classes, not between the samples of a class" in said


@pytest.mark.parametrize("method", METHODS.names())
def test_the_page_draws_runs_of_every_method(open_page, learned, method):
    page = open_page("samples", run=learned(even, 1, method={"name": method}))
    assert len(figures(page)) >= 2


def test_drawn_again_the_page_of_a_run_in_training_is_at_the_newest_epoch(studio, open_page):
    run_id = studio.running("Live", 2)
    page = open_page("samples", run=run_id)
    assert not [button for button in page.button if button.key == "newest"]
    studio.record_epoch(run_id, 3)
    from app.data import cached

    cached.forget_runs()
    page.run()
    assert "in epoch 3" in says(page)


def test_the_networks_curve_is_drawn_at_the_epoch_of_the_checkpoint_only(
    studio, open_page, learned, data_dir
):
    run_id = learned()
    network = METHODS["caat"]().learned_weight().network
    state = {f"method.network.{name}": value for name, value in network.state_dict().items()}
    folder = data_dir / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    file = checkpoints.write(folder, 3, 1, state=state, scenario_digest="0" * 64)
    path = str(file.path.relative_to(data_dir))
    with studio.database.write() as session:
        records.write_checkpoint(
            session, run_id, 1, epoch=3, path=path, size=file.size, sha256=file.sha256
        )
    page = open_page("samples", run=run_id)
    assert any(
        t.get("name", "").startswith("The network") for f in figures(page) for t in f["data"]
    )
    assert "Of the network only epoch 3 is kept" in says(
        open_page("samples", run=run_id, epoch="2")
    )
    assert "The network's own output is the anti adversary weight" in says(
        open_page("samples", run=run_id, quantity="bound")
    )


# -- aggregates, each against another way to get it


def raw(num: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.gamma(2, 1, num).round(2)
    return x, np.exp(-x) + rng.normal(0, 0.1, num)


def test_a_function_from_quantiles_is_within_one_step_of_the_samples_own():
    for values in (raw()[0], np.ones(50), np.repeat([0.0, 1.0], [30, 70])):
        quantiles = np.quantile(values, np.linspace(0, 1, 41))
        asked = np.linspace(values.min() - 1, values.max() + 1, 301)
        own = np.array([(values <= value).mean() for value in asked])
        assert np.abs(tables.share_at_or_below(quantiles, asked) - own).max() <= 1 / 40 + 1e-9


def test_a_pooled_function_is_that_of_all_samples_together():
    x, _ = raw()
    parts = np.split(x, [300, 1200])
    parts[1] = parts[1] + 2
    rows = pd.DataFrame(
        {"n": [len(p) for p in parts]}
        | {"quantiles": [np.quantile(p, np.linspace(0, 1, 41)).tolist() for p in parts]}
    )
    found, together = tables.pooled(rows), np.concatenate(parts)
    own = [(together <= value).mean() for value in found["value"][1:]]
    assert np.abs(found["share"][1:] - own).max() <= 1 / 40
    assert (found["share"].iloc[0], found["share"].iloc[-1]) == (0, 1)
    assert found["share"].is_monotonic_increasing


def test_a_density_counts_every_sample_once_in_its_cell():
    x, y = raw()
    found = tables.density(x, y)
    cut_x, cut_y = (pd.cut(v, tables.CELLS, labels=False) for v in (x, y))
    width = np.ptp(x) / tables.CELLS
    assert found["n"].sum() == len(x)
    assert len(found) == tables.CELLS**2
    columns = np.floor((found["x"] - x.min()) / width).astype(int)
    counts = found.groupby(columns)["n"].sum().to_numpy()
    # pandas closes its bins on the other side: only samples on an edge may move.
    assert np.abs(counts - np.bincount(cut_x, minlength=tables.CELLS)).max() <= 30
    assert cut_y.max() == tables.CELLS - 1


def test_binned_means_are_those_of_pandas_quantile_bins():
    x, y = np.random.default_rng(1).normal(size=(2, 1000))
    found = tables.binned(x, y)
    groups = pd.DataFrame({"x": x, "y": y}).groupby(pd.qcut(x, tables.BINS), observed=True)
    assert found["n"].tolist() == groups.size().tolist()
    assert found["x"].to_numpy() == pytest.approx(groups["x"].mean().to_numpy())
    assert found["y"].to_numpy() == pytest.approx(groups["y"].mean().to_numpy())
    assert found["low"].to_numpy() == pytest.approx(groups["y"].quantile(0.1).to_numpy())
    assert found["high"].to_numpy() == pytest.approx(groups["y"].quantile(0.9).to_numpy())


def test_a_characteristic_with_few_values_has_few_bins():
    found = tables.binned(np.repeat([0.1, 0.2, 0.7], [5, 50, 45]), np.arange(100.0))
    assert found["n"].sum() == 100
    assert len(found) <= 3
    assert len(tables.binned(np.ones(9), np.arange(9.0))) == 1


def test_filters_choose_what_pandas_chooses():
    columns = who() | weights(1)
    frame = pd.DataFrame(columns)
    wanted = Filter("flipped", (0, 5), "loss", (-1.0, 0.5), "anti_adversary_weight", (0.7, 0.9))
    query = (
        "given_label != true_label and given_label in [0, 5] and -1 <= loss <= 0.5 "
        "and 0.7 <= anti_adversary_weight <= 0.9"
    )
    assert tables.rows_of(columns, wanted).tolist() == frame.query(query).index.tolist()
    assert len(tables.rows_of(columns, Filter())) == N


def test_head_and_tail_are_the_halves_of_an_uneven_set():
    assert tables.sizes([100, 10, 50, 20, 30]) == ["head", "tail", "head", "tail", "head"]
    assert tables.sizes([100, 99, 60]) == []
    assert tables.sizes([]) == []


def test_of_many_classes_those_that_stand_out_are_drawn():
    many = pd.DataFrame({"class_index": range(1000), "mean": np.arange(1000.0), "n": 5})
    assert by_class.extremes(many, 6) == [0, 1, 2, 997, 998, 999]
    assert by_class.extremes(many[:4], 6) == [0, 1, 2, 3]


@pytest.mark.parametrize("text", ["", "1", "a..b", "2..1", "..", "nan"])
def test_a_range_that_is_none_is_no_range(text):
    assert read_range(text) is None


def test_a_range_survives_the_link():
    assert read_range(write_range(-0.25, 1e-7)) == (-0.25, 1e-7)


def test_flagging_is_told_at_the_last_point_within_ten_percent():
    flipped = np.arange(100) < 20
    score = np.where(flipped, 1.0, 0.0)
    score[20:30] = 0.5
    said = words.at_ten_percent(roc("loss", score, flipped, labels=np.zeros(100, int)), "loss")
    assert said.startswith("Flagging all samples at or above 1 finds 100 % of the wrong labels")
