"""Label suspects: ordered within their class, told where they are, in cleanlab's columns too."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from engine.errors import UserError
from tasks.results import suspects as module
from tasks.results.suspects import as_cleanlab, suspects
from tasks.results.trained import load_trained
from tasks.settings import open_database

FAST = ("training.epochs=1", "evaluation.num_steps=2", "evaluation.val_num_steps=1")


def test_suspects_of_a_run_are_whole_and_ordered_within_their_class(told_here, sqlite_studio):
    sets = [word for change in FAST for word in ("--set", change)]
    code, said, err = told_here("run", "scenario.toml", "--json", *sets)
    assert code == 0, err
    run_id, folder = json.loads(said)["run_id"], sqlite_studio.folder

    def export(name, *words):
        code, said, err = told_here("export", run_id, "--what", "suspects", "--out", name, *words)
        assert (code, err) == (0, "")
        assert said == f"200 rows in {name}\n"
        return pd.read_parquet(folder / name) if name.endswith("t") else pd.read_csv(folder / name)

    train = load_trained(open_database(), run_id).data.train
    given = dict(zip(train.source, train.labels, strict=True))
    columns = {"weight": "anti_adversary_weight", "loss": "loss", "confidence": "confidence"}
    for by, column in columns.items():
        table = export(f"{by}.parquet", "--by", by)
        assert table["sample"].map(given).tolist() == table["given_label"].tolist()
        assert sorted(table["sample"]) == sorted(given)
        doubt = -table[column] if by == "confidence" else table[column]
        for label, rows in table.groupby("given_label"):
            place = (rankdata(doubt[rows.index]) - 0.5) / len(rows)
            assert rows["place_in_class"].to_numpy() == pytest.approx(place), label
        assert table["place_in_class"].is_monotonic_decreasing
        assert (
            table["origin"] == "image " + table["sample"].astype(str) + " of the train part"
        ).all()
        right = table["confidence"].to_numpy() == pytest.approx(np.exp(-table["loss"]), abs=1e-5)
        assert right
        flagged = table[table["is_label_issue"]]
        assert (flagged["given_label"] != flagged["predicted_label"]).all()
        assert (table["true_label"] != table["given_label"]).any()
    listed = export("list.csv", "--format", "cleanlab", "--by", "margin")
    assert list(listed) == [
        "sample", "origin", "is_label_issue", "label_score", "given_label", "predicted_label",
    ]  # fmt: skip
    assert listed["label_score"].between(0, 1).all()
    job = told_here("export", run_id, "--what", "suspects", "--by", "loss", "--queue")[1].strip()
    told = json.loads(told_here("status", job, "--json")[1])
    assert told["request"] == {
        "what": "suspects", "by": "loss", "file": f"suspects-{run_id[:8]}.parquet",
    }  # fmt: skip


@pytest.fixture
def table():
    columns = {"sample": [7, 3], "origin": ["a.png", "b.png"], "is_label_issue": [True, False]}
    columns |= {"given_label": [0, 1], "predicted_label": [1, 1], "place_in_class": [0.75, 0.25]}
    return pd.DataFrame(columns | {"margin": [-0.5, 1.0], "confidence": [0.25, 1.0]})


@pytest.mark.parametrize(
    ("by", "scores"),
    [
        ("weight", [0.25, 0.75]),
        ("loss", [0.25, 1.0]),
        ("confidence", [0.25, 1.0]),
        ("margin", [0.25, 1.0]),
    ],
)
def test_a_low_score_is_a_likely_issue_and_is_cleanlabs_own_where_it_has_one(table, by, scores):
    listed = as_cleanlab(table, by)
    assert listed["label_score"].tolist() == scores
    assert listed["origin"].tolist() == ["a.png", "b.png"]


@pytest.mark.parametrize(
    "weights",
    [{}, {"clean_weight": np.ones(4)}, {"adversary_weight": np.array([1.0, 1.0, 2.0, 2.0])}],
)
def test_weights_that_differ_between_classes_alone_order_nobody(weights):
    labels = np.array([0, 0, 1, 1])
    with pytest.raises(UserError, match="order them --by loss, margin or confidence"):
        module._score("weight", None, weights, labels=labels, run_id="r")


def test_the_first_weight_that_differs_within_a_class_is_the_order_and_small_trust_is_doubt():
    labels = np.array([0, 0, 1, 1])
    weights = {"anti_adversary_weight": np.zeros(4), "clean_weight": np.array([0.2, 0.8, 1, 1])}
    found = module._score("weight", None, weights, labels=labels, run_id="r")
    assert found.column == "clean_weight"
    assert found.doubt.argmax() == 0


def test_a_run_that_is_gone_is_one_line(told_here, sqlite_studio):
    with pytest.raises(UserError, match="is gone"):
        suspects(open_database(), "0" * 32, "loss")
