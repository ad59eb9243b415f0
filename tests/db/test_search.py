"""What a person types finds the runs that it means, and every column orders all of them."""

import pytest

from db.models import RunStatus
from db.reads import listing, queries
from db.reads.columns import SORTED
from db.reads.listing import Order, RunFilter
from db.writes import editing, records, transitions
from db.writes.editing import Change, Edit
from db.writes.records import MetricRow

WORKER = transitions.WorkerIdentity("w", "h", "b", 1, "cpu")
RUNS = {
    "setting 3": {"ratio": 0.2, "factor": 10, "norm": "linf", "robust": 0.3, "worst": 0.7},
    "setting 13": {"ratio": 0.4, "factor": 1, "norm": "l2", "robust": 0.5, "worst": 0.6},
    "Été": {"ratio": 0.0, "factor": 100, "norm": "linf", "robust": None, "worst": None},
}


@pytest.fixture
def known(database) -> dict[str, str]:
    return {name: _write(database, name, place) for place, name in enumerate(RUNS)}


def _write(database, name, seed) -> str:
    run = RUNS[name]
    noise, imbalance = {"kind": "pair", "ratio": run["ratio"]}, {"factor": run["factor"]}
    threat = {"norm": run["norm"], "epsilon": 0.1 + seed}
    scenario = {"data": {"noise": noise, "imbalance": imbalance}, "threat": threat}
    new = transitions.NewRun(name, scenario, "d", "caat", "digits", seed, 5, study=f"study {seed}")
    with database.write() as session:
        run_id, _ = transitions.create_run(session, new, "test")
        if run["robust"] is None:
            return run_id
        transitions.claim(session, run_id, WORKER, lease_seconds=60)
        found = {"robust_error": run["robust"], "worst_robust_error": run["worst"]}
        rows = [MetricRow("test", key, 9, 5, value) for key, value in found.items()]
        records.write_metrics(session, run_id, 1, rows=rows)
        transitions.finish(session, run_id, 1, status=RunStatus.SUCCEEDED)
    return run_id


def names(database, text="", order=listing.NEWEST_FIRST, **filters) -> list[str]:
    with database.read() as session:
        wanted = RunFilter(text=text, **filters)
        rows, number = listing.runs(session, wanted, 0, number=50, order=order)
    assert len(rows) == number
    return [row.name for row in rows]


SEARCHES = [
    ("setting 3", {"setting 3"}),
    ("setting", {"setting 3", "setting 13"}),
    ("imbalance 10", {"setting 3"}),
    ("imbalance", {"setting 3", "Été"}),
    ("pair 20 %", {"setting 3"}),
    ("PAIR 40%", {"setting 13"}),
    ("pair", {"setting 3", "setting 13"}),
    ("l2", {"setting 13"}),
    ("linf imbalance 100", {"Été"}),
    ("seed 1", {"setting 13"}),
    ("ÉTÉ", {"Été"}),
    ("été", {"Été"}),
    ("robust<40", {"setting 3"}),
    ("robust >= 50% worst<=60", {"setting 13"}),
    ("imbalance>5", {"setting 3", "Été"}),
    ("noise=40", {"setting 13"}),
    ("created>=2000-01-01", set(RUNS)),
    ("created<2000-01-01", set()),
    ("created<2000-99-99", set()),
    ('"setting 13"', {"setting 13"}),
    ("study:nothing", set()),
    ('study:"study 1"', {"setting 13"}),
    ("robust<abc", set()),
    ('"', set(RUNS)),
    ("%", set()),
    ("( [ * \\", set()),
    ("x" * 5_000, set()),
    (" ".join(["setting"] * 500), {"setting 3", "setting 13"}),
]


def test_a_search_means_what_it_says(database, known):
    for text, found in SEARCHES:
        assert set(names(database, text)) == found, text


def test_an_id_is_found_by_how_it_begins_and_by_nothing_else(database, known):
    run_id = known["Été"]
    assert names(database, run_id[:8].upper()) == ["Été"]
    assert names(database, run_id[1:20]) == []
    assert names(database, run_id[:2]) in ([], ["Été"])


def test_tags_and_notes_are_searched_and_a_comma_or_a_tag_of_html_is_a_letter(database, known):
    with database.write() as session:
        tags = ("a, b", "<script>", "🎉", "50%")
        editing.edit(session, known["Été"], "me", wanted=Edit(add=tags))
        notes = Edit(notes=Change("Collapses in epoch 12"))
        editing.edit(session, known["setting 3"], "me", wanted=notes)
    assert names(database, 'tag:"a, b"') == names(database, "<SCRIPT>") == ["Été"]
    assert names(database, "🎉") == names(database, "tag:50%") == ["Été"]
    assert names(database, "tag:a") == []
    assert names(database, "collapses epoch") == ["setting 3"]
    assert names(database, tags=("50%", "none")) == ["Été"]
    assert names(database, studies=("study 0", "study 2")) == ["Été", "setting 3"]
    with database.read() as session:
        assert listing.choices(session).tags == sorted(tags)
        assert queries.get_run(session, known["Été"]).tags == tuple(sorted(tags))


def test_every_column_orders_all_runs_and_loses_none(database, known):
    for order in (Order(column, way) for column in SORTED for way in (True, False)):
        assert set(names(database, order=order)) == set(RUNS), order


RISING = [
    ("robust_error", ["setting 3", "setting 13", "Été"]),
    ("worst_robust_error", ["setting 13", "setting 3", "Été"]),
    ("seed", ["setting 3", "setting 13", "Été"]),
    ("scenario", ["Été", "setting 3", "setting 13"]),
    ("threat", ["setting 13", "setting 3", "Été"]),
]


def test_a_column_orders_by_its_values_and_a_run_without_one_stands_last(database, known):
    for column, rising in RISING:
        assert names(database, order=Order(column, descending=False)) == rising
        without = [name for name in rising if RUNS[name]["robust"] is None and "error" in column]
        falling = [name for name in reversed(rising) if name not in without] + without
        assert names(database, order=Order(column, descending=True)) == falling


def test_an_order_that_is_not_known_is_the_usual_one(database, known):
    assert names(database, order=Order("'; DROP TABLE run", True)) == list(reversed(RUNS))
