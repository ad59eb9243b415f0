"""The pages that compare runs by any stored attack on them, chosen by its protocol; never two."""

import numpy as np
import pandas as pd
import pytest

from app.compare import runs as comparison
from db.evaluations import NewEvaluation, write_evaluation
from tests.app.recorded import card, outcomes
from tests.app.shown import words
from tests.app.studio import Studio

STRONG = {"attack": "autoattack", "num_steps": 100, "label": "AA"}


def attacked(studio: Studio, run_id: str, robust: float, **changes: object) -> None:
    """Store AutoAttack on a run, under which each class has this robust error."""
    said = outcomes()
    place = np.tile(np.arange(10), 10)
    said["clean"] = said["label"]
    said["attacked"] = np.where(place < round(10 * robust), (said["label"] + 1) % 10, said["label"])
    new = NewEvaluation("AA", "attack", 100, card() | STRONG | changes, outcomes=said)
    with studio.database.write() as session:
        write_evaluation(session, run_id, 1, new=new)


def strong() -> str:
    """Return the id of AutoAttack's protocol."""
    return next(
        view.protocol_id
        for views in comparison.measured()
        for view in views
        if view.protocol.get("attack") == "autoattack"
    )


def points(page) -> pd.DataFrame:
    return next(table.value for table in page.dataframe if "front" in table.value)


def spreads(page) -> pd.DataFrame:
    return next(table.value for table in page.dataframe if "nsd" in table.value)


def test_the_trade_off_is_that_of_the_chosen_protocol_alone(studio, open_page):
    one = studio.finished("One")
    other = studio.finished("Other", method={"name": "trades"})
    studio.finished("Third", method={"name": "mart"})
    attacked(studio, one, 0.5)
    attacked(studio, other, 0.9)
    page = open_page("tradeoff")
    assert sorted(points(page)["method"]) == ["caat", "mart", "trades"]
    page.selectbox(key="choice-protocol").set_value(strong()).run()
    found = points(page).set_index("method")
    assert found["robust"].to_dict() == pytest.approx({"caat": 0.5, "trades": 0.1})
    assert found["natural"].tolist() == pytest.approx([1.0, 1.0])
    assert page.query_params["protocol"] == strong()
    said = words(page)
    assert "AUTOATTACK-100" in said
    assert "1 other run was not measured alike and cannot be ranked here" in said


def test_fairness_is_that_of_the_chosen_protocol_and_names_runs_without_it(studio, open_page):
    one, other = studio.finished("One"), studio.finished("Other", method={"name": "trades"})
    third = studio.finished("Third", method={"name": "mart"})
    attacked(studio, one, 0.1)
    attacked(studio, other, 1.0)
    page = open_page("fairness", runs=[one, other, third])
    assert spreads(page)["average"].tolist() == pytest.approx([40.0] * 3)
    page.selectbox(key="choice-protocol").set_value(strong()).run()
    found = spreads(page).set_index("method")
    assert found["average"].to_dict() == pytest.approx({"caat": 10.0, "trades": 100.0})
    warned = page.warning[0].value.replace("\\", "")
    assert "mart · Third" in warned
    assert "was not evaluated by this protocol and is left out" in warned
    said = words(page)
    assert "AUTOATTACK-100" in said
    assert "Beyond chance" in said  # compared image by image, on the outcomes of this protocol


def test_a_page_with_one_protocol_asks_for_none(studio, open_page):
    page = open_page("fairness", runs=[studio.finished("One"), studio.finished("Other")])
    assert "choice-protocol" not in [box.key for box in page.selectbox]


def test_a_runs_own_test_counts_before_a_look_by_the_same_protocol(studio):
    run_id = studio.finished("One")
    with studio.database.write() as session:
        again = NewEvaluation("PGD-20", "attack", 100, card(), outcomes=outcomes())
        write_evaluation(session, run_id, 1, new=again)
    (views,) = comparison.measured()
    assert [view.evaluation for view in views] == ["final"]
    attacked(studio, run_id, 0.5)
    comparison.measured.clear()
    (views,) = comparison.measured()
    assert [view.evaluation for view in views] == ["final", "AA"]


def test_a_link_from_the_trade_off_keeps_the_protocol(studio, open_page):
    one = studio.finished("One")
    attacked(studio, one, 0.5)
    page = open_page("fairness", runs=[one], protocol=strong())
    assert spreads(page)["average"].max() == pytest.approx(50.0)
