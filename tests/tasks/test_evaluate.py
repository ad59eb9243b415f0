"""``caat evaluate``: a trained model under other attacks, and what is stored of it."""

import json
import sys

import numpy as np
import pytest
from sqlalchemy import update

from db.evaluations import evaluations, outcomes
from db.models import FINAL, Run
from db.reads import queries
from engine.errors import UserError
from engine.scenario import Scenario
from tasks.results import evaluate as evaluating
from tasks.results.evaluate import EvaluationRequest, evaluate
from tasks.results.request import attack_asked
from tasks.settings import open_database

TINY = """
name = "tiny"
seed = 3
[data]
dataset = "digits"
train_size = 200
test_size = 100
meta_per_class = 5
val_per_class = 5
[threat]
epsilon = 0.1
num_steps = 2
[method]
name = "{method}"
[training]
epochs = {epochs}
batch_size = 32
lr = 0.05
[evaluation]
num_steps = 3
val_num_steps = 2
"""


@pytest.fixture
def train(caat_here, sqlite_studio):
    """Train in a process of its own and return the run's id."""

    def trained(method: str = "pgd-at", epochs: int = 3, *sets: str) -> str:
        sqlite_studio.scenario.write_text(TINY.format(method=method, epochs=epochs))
        words = [word for change in sets for word in ("--set", change)]
        done = sqlite_studio.caat("run", str(sqlite_studio.scenario), "--json", *words)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["run_id"])

    return trained


def stored(run_id):
    with open_database().read() as session:
        return {row.name: row for row in evaluations(session, run_id)}


def said(run_id, name):
    with open_database().read() as session:
        found = outcomes(session, run_id, name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "changes",
    [
        ("method.name=pgd-at",),
        ("method.name=pgd-at", "evaluation.checkpoint=best", "training.epochs=5"),
        ("method.name=cfa", "method.average_from=0", "method.average_threshold=0"),
    ],
    ids=["last", "best", "averaged"],
)
def test_the_runs_own_protocol_gives_what_its_own_test_gave_image_by_image(changes, train):
    run_id = train("pgd-at", 3, *changes)
    told = evaluate(open_database(), run_id, EvaluationRequest())
    own, again = said(run_id, FINAL), said(run_id, told["name"])
    for name, column in own.items():
        np.testing.assert_array_equal(column, again[name])
    rows = stored(run_id)
    assert rows[told["name"]].card == rows[FINAL].card


def test_the_command_prints_what_run_prints_and_the_worst_classs_interval(train, sqlite_studio):
    run_id = train()
    done = sqlite_studio.caat("evaluate", run_id[:8], "--json", "--epsilon", "0.2", "--steps", "5")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["run_id"] == run_id
    assert (told["evaluation_card"]["epsilon"], told["evaluation_card"]["num_steps"]) == (0.2, 5)
    with sqlite_studio.database.read() as session:
        final = queries.final_metrics(session, run_id)
    assert final is not None
    assert told["metrics"]["natural_error"]["average"] == final["natural_error"]["average"]
    robust = told["metrics"]["robust_error"]
    assert robust["average"] > final["robust_error"]["average"]
    assert robust.keys() >= final["robust_error"].keys()
    low, high = robust["worst_interval"]
    assert low < robust["worst"] < high or robust["worst"] == high == 1
    assert set(stored(run_id)) == {FINAL, told["name"]}


def test_an_evaluation_made_again_is_stored_once(train):
    run_id = train()
    first = evaluate(open_database(), run_id, EvaluationRequest(subset=20))
    assert evaluate(open_database(), run_id, EvaluationRequest(subset=20)) == first
    assert set(stored(run_id)) == {FINAL, first["name"]}
    assert len(said(run_id, first["name"])["sample"]) == 20


def test_both_protocols_look_at_the_same_images(train):
    run_id = train()
    told = evaluate(open_database(), run_id, EvaluationRequest(as_released=True, subset=50))
    pixel, released = said(run_id, told["name"]), said(run_id, told["as_released"]["name"])
    assert pixel["sample"].tolist() == released["sample"].tolist()
    assert pixel["clean"].tolist() == released["clean"].tolist()
    assert "normalised tensors" in told["as_released"]["evaluation_card"]["space"]
    assert told["evaluation_card"]["space"] == "pixels"


def test_a_curve_falls_from_the_natural_accuracy(train):
    run_id = train()
    told = evaluate(open_database(), run_id, EvaluationRequest(curve=True))
    curve = stored(run_id)[told["curve"]["name"]].findings
    assert curve is not None
    wrong = np.array(curve["wrong"])
    assert curve["epsilon"][0] == 0
    assert sum(curve["count"]) == 100
    assert wrong[0].sum() / 100 == pytest.approx(told["metrics"]["natural_error"]["average"])
    at = curve["epsilon"].index(0.1)
    assert wrong[at].sum() / 100 == pytest.approx(told["metrics"]["robust_error"]["average"])
    assert (np.diff(wrong.sum(axis=1)) >= 0).all()


def test_masking_findings_are_stored_with_their_reasons(train):
    run_id = train()
    told = evaluate(open_database(), run_id, EvaluationRequest(masking=True, subset=20))
    row = stored(run_id)[told["masking"]["name"]]
    findings = row.findings
    assert findings is not None
    assert (row.card["label"], row.n) == ("PGD-40-subset(20)", 20)
    assert row.card["step_size"] == pytest.approx(2.5 * 0.1 / 40)
    assert len(findings["checks"]) == 4
    assert all(check["reason"].endswith(".") for check in findings["checks"])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--subset", "101"], "subset: 101 is not valid; the set has 100 images"),
        (["--subset", "9"], "subset: 9 is not valid, it leaves a class without an image"),
        (["--attack", "magic"], "--attack: 'magic' is unknown; choose apgd, autoattack, pgd"),
        (["--epsilon", "2"], "2 is not valid"),
        (["--epsilon", "far"], "--epsilon: 'far' is not valid"),
        (["--norm", "l2"], "--norm: l2 is not the run's norm; give its --epsilon too"),
        (["--attack", "apgd", "--steps", "5"], "--steps: unknown key"),
        (["--epsilon", "0", "--curve"], "--curve: it needs a radius"),
        (["--protocol", "other"], "as-released"),
    ],
)
def test_a_wish_that_cannot_work_is_one_line_and_stores_nothing(words, line, train, caat_here):
    run_id = train(epochs=1)
    code, told = caat_here("evaluate", run_id, *words)
    assert (code, told.count("\n")) == (2, 1)
    assert line in told
    assert set(stored(run_id)) == {FINAL}


def test_a_missing_autoattack_says_how_to_get_it(train, caat_here, monkeypatch):
    run_id = train(epochs=1)
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    code, told = caat_here("evaluate", run_id, "--attack", "autoattack", "--subset", "10")
    assert code == 2
    assert "pip install 'caat-studio[autoattack]'" in told
    assert set(stored(run_id)) == {FINAL}


def test_a_run_that_cannot_be_evaluated_says_why(train, caat_here, sqlite_studio):
    waiting = sqlite_studio.launch()
    assert "is queued; wait until it has ended" in caat_here("evaluate", waiting)[1]
    run_id = train(epochs=1)

    def change(**values: object) -> None:
        with open_database().write() as session:
            session.execute(update(Run).where(Run.id == run_id).values(**values))

    with open_database().read() as session:
        run = queries.get_run(session, run_id)
    assert run is not None
    change(scenario=run.scenario | {"model": {"name": "small-cnn", "width": 3}})
    assert "does not fit small-cnn with 10 classes" in caat_here("evaluate", run_id)[1]
    change(scenario=run.scenario, facts={**(run.facts or {}), "data_digest": "0"})
    assert "is not what" in caat_here("evaluate", run_id)[1]
    for file in sqlite_studio.folder.rglob("*.safetensors"):
        file.unlink()
    code, told = caat_here("evaluate", run_id)
    assert code == 2
    assert told.endswith("Epoch 1 checkpoint missing: no checkpoint can be used\n")
    assert set(stored(run_id)) == {FINAL}


def test_nothing_is_stored_of_a_run_that_was_changed_meanwhile(train, monkeypatch):
    run_id = train(epochs=1)
    monkeypatch.setattr(evaluating.transitions, "ended_with", lambda *_: False)
    with pytest.raises(UserError, match="was resumed or deleted meanwhile"):
        evaluate(open_database(), run_id, EvaluationRequest(subset=10))
    assert set(stored(run_id)) == {FINAL}


def test_only_an_asked_for_radius_or_number_of_steps_is_held_against_the_step():
    own = {"epsilon": 0.1, "num_steps": 4, "step_size": 0.02}  # too short to reach the edge
    scenario = Scenario.model_validate({"evaluation": own})

    def asked(attack: str = "pgd", **knobs: float) -> object:
        return attack_asked(scenario, EvaluationRequest(attack, knobs))

    kept = asked()
    assert (kept.epsilon, kept.num_steps, kept.step_size) == (0.1, 4, 0.02)
    wider = asked(epsilon=0.2)
    assert (wider.epsilon, wider.num_steps, wider.step) == (0.2, 4, 0.05)
    longer = asked(num_steps=40)
    assert (longer.epsilon, longer.num_steps, longer.step_size) == (0.1, 40, 0.02)
    with pytest.raises(UserError, match=r"^--steps: 3 of .* do not reach"):
        asked(num_steps=3)
    apgd = asked("apgd", epsilon=0.3)
    assert (apgd.name, apgd.epsilon) == ("apgd", 0.3)
