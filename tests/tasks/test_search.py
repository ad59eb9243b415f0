"""``caat study search``: settings proposed, tried as runs on a search split, and found."""

import tomllib

import pytest

from db import studies
from db.models import RunStatus
from db.reads import queries
from db.writes import records, transitions
from db.writes.records import MetricRow
from engine.errors import UserError
from engine.study import cells, read_study
from tasks import search as searching
from tasks.search import chosen_study, search, search_name

TABLE = {
    "name": "S",
    "seeds": [0, 1],
    "base": {"data": {"dataset": "digits", "train_size": 200}},
    "scenarios": {"standard": {}, "noise": {"data": {"noise": {"kind": "pair", "ratio": 0.2}}}},
    "methods": {"trades": {}, "wat": {"scenarios": ["noise"], "beta": 3.0}},
    "search": {
        "trials": 6,
        "per_class": 20,
        "space": {
            "trades": {"beta": {"low": 0.5, "high": 10.0, "log": True}},
            "wat": {"eta": {"low": 0.1, "high": 1.0}, "training.lr": {"choices": [0.05, 0.1]}},
        },
    },
}


def errors_of(scenario) -> tuple[float, float]:
    """What a setting leads to here: more of it costs natural error and saves robust error."""
    knob = scenario["method"].get("eta", scenario["method"]["beta"] / 10)
    lr = scenario["training"]["lr"]
    return 0.1 + 0.3 * knob + lr, 0.9 - 0.5 * knob + lr


@pytest.fixture
def worker(studio, monkeypatch):
    """Ends whatever is queued whenever the search waits; 'fails' names what does not succeed."""
    state = {"fails": (), "waits": 0, "stops_after": None}

    def train(_seconds: float) -> None:
        state["waits"] += 1
        if state["waits"] == state["stops_after"]:
            raise KeyboardInterrupt
        with studio.database.read() as session:
            waiting = [
                queries.get_run(session, i)
                for i in queries.runs_with_status(session, RunStatus.QUEUED)
            ]
        for run in waiting[:2]:
            natural, robust = errors_of(run.scenario)
            status = RunStatus.FAILED if run.method in state["fails"] else RunStatus.SUCCEEDED
            rows = [
                MetricRow("test", name, 1, 1, value)
                for name, value in (("natural_error", natural), ("worst_robust_error", robust))
            ]
            who = transitions.WorkerIdentity("w", "host", "boot", 1, "cpu")
            with studio.database.write() as session:
                transitions.claim(session, run.id, who, lease_seconds=60)
                records.write_metrics(session, run.id, 1, rows=rows)
                transitions.finish(session, run.id, 1, status=status)

    monkeypatch.setattr(searching.time, "sleep", train)
    return state


def searched(table=TABLE, parallel=3, lines=None):
    return search(
        read_study(table),
        actor="tester",
        parallel=parallel,
        told=(lines if lines is not None else []).append,
    )


def runs_of(studio):
    with studio.database.read() as session:
        return [
            queries.get_run(session, run.id) for run in studies.runs_of(session, "S, search", 999)
        ]


def test_each_scenario_and_method_has_its_number_of_settings_on_the_search_split(studio, worker):
    searched()
    runs = runs_of(studio)
    assert len(runs) == 3 * 6
    assert {run.scenario["data"]["search_per_class"] for run in runs} == {20}
    assert {run.seed for run in runs} == {100}
    of_wat = [run.scenario for run in runs if run.method == "wat"]
    assert {scenario["data"]["noise"]["ratio"] for scenario in of_wat} == {0.2}
    assert all(0.1 <= scenario["method"]["eta"] <= 1.0 for scenario in of_wat)
    assert {scenario["training"]["lr"] for scenario in of_wat} <= {0.05, 0.1}
    assert {scenario["method"]["beta"] for scenario in of_wat} == {3.0}


def test_what_is_found_is_what_no_tried_setting_beats(studio, worker):
    found = searched()
    tried = [(run.method, errors_of(run.scenario)) for run in runs_of(studio)]
    for one in found:
        others = [errors for method, errors in tried if method == one.method]
        better = [e for e in others if e[0] < one.errors[0] and e[1] < one.errors[1]]
        assert not better
    assert {tried.scenario for tried in found if tried.method == "trades"} == {"standard", "noise"}


def test_each_ended_setting_is_told_in_one_line(studio, worker):
    lines: list[str] = []
    searched(lines=lines)
    assert len(lines) == 18
    assert (
        sum(line.startswith("wat, eta = ") and ", noise: natural, " in line for line in lines) == 6
    )


def test_who_is_interrupted_goes_on_and_nothing_is_trained_twice(studio, worker):
    worker["stops_after"] = 4
    with pytest.raises(KeyboardInterrupt):
        searched()
    begun = {run.id for run in runs_of(studio)}
    assert 0 < len(begun) < 18
    searched()
    assert begun < {run.id for run in runs_of(studio)}
    assert len(runs_of(studio)) == 18
    before = worker["waits"]
    assert searched()
    assert worker["waits"] == before  # all of it is there


def test_a_setting_that_fails_counts_and_is_never_found(studio, worker):
    worker["fails"] = ("wat",)
    lines: list[str] = []
    found = searched(lines=lines)
    assert {tried.method for tried in found} == {"trades"}
    assert sum(line.endswith("failed or was stopped") for line in lines) == 6


def test_no_more_settings_are_under_way_than_asked_for(studio, worker, monkeypatch):
    seen = []
    train = searching.time.sleep

    def counted(seconds):
        with studio.database.read() as session:
            seen.append(queries.queue_length(session))
        train(seconds)

    monkeypatch.setattr(searching.time, "sleep", counted)
    searched(parallel=2)
    assert max(seen) == 2


def test_other_settings_of_the_same_name_begin_anew(studio, worker):
    searched()
    longer = {**TABLE, "base": {**TABLE["base"], "training": {"epochs": 7}}}
    searched(longer)
    assert len(runs_of(studio)) == 36


def test_the_found_settings_are_a_study_on_the_test_images(studio, worker):
    study = read_study(TABLE)
    found = searched()
    rows = cells(read_study(chosen_study(study, found)))
    assert {cell.scenario.data.search_per_class for cell in rows} == {None}
    assert {cell.seed for cell in rows} == {0, 1}
    assert {cell.family for cell in rows} == {"trades", "wat"}
    points = {
        (cell.scenario_name, cell.family, cell.scenario.method.beta, cell.scenario.training.lr)
        for cell in rows
    }
    expected = {
        (one.scenario, one.method, one.point.get("beta", 3.0), one.point.get("training.lr", 0.05))
        for one in found
    }
    assert points == expected


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"search": None}, "search: is required; write"),
        ({"space": {"x": {"beta": {"low": 1, "high": 2}}}}, "search.space.x: no method has this"),
        ({"space": {"trades": {}}}, "search.space.trades: has no range"),
        (
            {"space": {"trades": {"beta": {"low": 2, "high": 1}}}},
            "search.space.trades.beta: is not",
        ),
        (
            {"space": {"trades": {"betta": {"low": 1, "high": 2}}}},
            "trades, betta = 1.0, standard: m",
        ),
        (
            {"space": {"trades": {"beta": {"low": 0, "high": 1, "log": True}}}},
            "search.space.trades",
        ),
    ],
)
def test_a_search_that_cannot_be_is_one_line_and_queues_nothing(studio, worker, change, says):
    search_table = change.get("search", {**TABLE["search"], **change})
    with pytest.raises(UserError) as refused:
        searched({**TABLE, "search": search_table})
    assert str(refused.value).split("\n")[0].startswith(says)
    assert not runs_of(studio)


def test_a_real_worker_tries_settings_and_the_file_of_the_found_ones_can_be_launched(
    sqlite_studio, tmp_path
):
    file, out = tmp_path / "s.toml", tmp_path / "found.toml"
    file.write_text(
        'name = "S"\nseeds = [0]\n[base.data]\ndataset = "digits"\ntrain_size = 100\n'
        "[base.training]\nepochs = 1\n[base.threat]\nnum_steps = 1\n[methods.trades]\n"
        "[search]\ntrials = 2\nper_class = 5\n[search.space.trades]\n"
        "beta = { low = 1.0, high = 6.0 }\n"
    )
    sqlite_studio.start_broker()
    sqlite_studio.start_worker()
    done = sqlite_studio.caat("study", "search", str(file), "--out", str(out))
    said = done.stdout
    assert done.returncode == 0, done.stderr
    assert said.count("natural, worst robust error") == 2
    rows = cells(read_study(tomllib.loads(out.read_text())))
    assert {cell.family for cell in rows} == {"trades"}
    with sqlite_studio.database.read() as session:
        (first, *_) = studies.runs_of(
            session, search_name(read_study(tomllib.loads(file.read_text()))), 9
        )
        card = queries.get_run(session, first.id).evaluation_card
    assert (card["split"], card["n"]) == ("search", 50)


def test_names_of_any_length_are_stored_as_far_as_there_is_room(studio, worker):
    long = "x" * 195
    table = {**TABLE, "name": "S" * 200, "methods": {long: {"name": "trades"}}}
    table["search"] = {
        "trials": 1,
        "per_class": 20,
        "space": {long: {"beta": {"low": 1, "high": 2}}},
    }
    study = read_study(table)
    found = searched(table)
    assert len(found) == 2
    assert len(read_study(chosen_study(study, found)).name) == studies.NAME_LENGTH
    assert len(search_name(study)) == studies.NAME_LENGTH
    with studio.database.read() as session:
        names = studies.cells_of(session, search_name(study)).values()
    assert {len(name.method) for name in names} == {studies.NAME_LENGTH}
