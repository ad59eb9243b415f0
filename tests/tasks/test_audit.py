"""A model of elsewhere becomes a row like a run; what cannot be is one line, and stores nothing."""

import json

import numpy as np
import pytest
import torch
from sqlalchemy import func, select

from db.evaluations import evaluations, outcomes
from db.models import FINAL, Run
from db.reads import queries
from db.reads.comparison import finished_runs
from engine.data.datasets.base import datasets
from engine.models.backbones.base import BACKBONES
from engine.models.classifier import Classifier
from tasks.settings import open_database, settings
from tests.engine.hostile_weights import HOSTILE

NETWORK = ("--backbone", "small-cnn", "--set", "width=4", "--data", "digits")
FAST = ("--attack", "pgd", "--steps", "2", "--subset", "30", "--normalise", "none")


@pytest.fixture
def model(sqlite_studio):
    """Return a network of chance, whose weights lie in net.pt as scripts save them."""
    torch.manual_seed(0)
    net = BACKBONES["small-cnn"](width=4).build(1, 8, 10)
    held = {"state_dict": {f"module.{name}": value for name, value in net.state_dict().items()}}
    torch.save(held, sqlite_studio.folder / "net.pt")
    return Classifier(net, torch.zeros(1), torch.ones(1)).eval()


def num_runs():
    with open_database().read() as session:
        return session.execute(select(func.count()).select_from(Run)).scalar_one()


def test_an_audit_is_a_row_among_the_runs_whose_model_is_evaluated_and_exported_later(
    told_here, sqlite_studio, model
):
    code, said, err = told_here(
        "audit", "net.pt", *NETWORK, *FAST, "--name", "<b>\U0001f9ea", "--json"
    )
    assert code == 0, err
    told = json.loads(said)
    card, run_id = told["evaluation_card"], told["run_id"]
    assert (told["status"], card["attack"], card["n"], card["method"]) == (
        *("succeeded", "pgd", 30, "Audited model"),
    )
    assert card["trained_norm"] is None
    assert card["checkpoint"] == "weights as they were given"
    _, test = datasets()["digits"].load(settings().dataset_dir)
    with open_database().read() as session:
        run, found = queries.get_run(session, run_id), outcomes(session, run_id, FINAL)
        assert [row.id for row in finished_runs(session)] == [run_id]
    assert (run.kind, run.is_job, run.name) == ("audit", False, "<b>\U0001f9ea")
    shown = np.isin(test.source, found["sample"])
    images = torch.from_numpy(test.images[shown]).float() / 255
    order = found["sample"].argsort()
    np.testing.assert_array_equal(model(images).argmax(dim=1).numpy(), found["clean"][order])
    assert "like guessing" in run.message  # nobody trained it
    again = ("--attack", "pgd", "--steps", "1", "--subset", "30", "--epsilon", "0.2", "--json")
    code, said, err = told_here("evaluate", run_id, *again)
    assert code == 0, err
    assert json.loads(said)["evaluation_card"]["method"] == "Audited model"
    with open_database().read() as session:
        assert len(evaluations(session, run_id)) == 2
    out = sqlite_studio.folder / "out.safetensors"
    assert told_here("export", run_id, "--what", "model", "--out", str(out))[0] == 0
    code, _, err = told_here("audit", str(out), *NETWORK, *FAST[:-2])  # it says its normalisation
    assert code == 0, err
    assert told_here("launch", "scenario.toml", "--set", f"training.start_from={run_id}")[0] == 2
    assert told_here("delete", run_id)[0] == 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((*NETWORK[:2], *NETWORK[4:], *FAST), "it fits small-cnn of width 4"),
        ((*NETWORK, *FAST[:-2]), "--normalise: the file does not say how"),
        ((*NETWORK, *FAST[:-1], "cifar"), "--normalise: 'cifar' is unknown; choose none"),
        ((*NETWORK, *FAST[:-1], "imagenet"), "--mean: 3 numbers for 1 channels"),
        ((*NETWORK, *FAST, "--mean", "0.5"), "it is given beside --mean"),
        ((*NETWORK, *FAST[:-2], "--mean", "0.5", "--std", "0"), "--std: not valid"),
        ((*NETWORK, *FAST[:-2], "--mean", "x", "--std", "1"), "--mean: 'x' is not valid"),
        ((*NETWORK, *FAST, "--key", "ema"), "holds no 'ema'; choose state_dict"),
        ((*NETWORK, *FAST, "--epsilon", "9"), "--epsilon: 9"),
        ((*NETWORK, *FAST, "--epsilon", "nan"), "--epsilon:"),
        ((*NETWORK, *FAST, "--norm", "l3"), "--norm:"),
        ((*NETWORK, *FAST[2:], "--attack", "x"), "--attack: 'x' is unknown"),
        ((*NETWORK, *FAST[:4], "--subset", "3", *FAST[6:]), "subset: 3 is not valid"),
        ((*NETWORK, *FAST, "--set", "width"), "--set: 'width' is not of the form"),
        ((*NETWORK, *FAST, "--set", "width=many"), "--set width: 'many' is not valid"),
        ((*NETWORK[:4], "--data", "no", *FAST), "--data: 'no' is unknown"),
        (("--backbone", "no", *NETWORK[4:], *FAST), "--backbone: 'no' is unknown"),
        ((*NETWORK, *FAST, "--name", "x" * 300), "name"),
    ],
)
def test_what_cannot_be_audited_is_one_line_and_stores_nothing(told_here, model, words, why):
    code, said, err = told_here("audit", "net.pt", *words)
    assert (code, said) == (2, ""), err
    assert why in err
    assert err.startswith("caat: ")
    assert err.count("\n") == 1
    assert num_runs() == 0
    assert not (settings().data_dir / "weights").exists()


@pytest.mark.parametrize("name", ["code", "10-GB-claimed", "truncated", "empty"])
def test_a_hostile_file_stores_nothing_and_runs_nothing(told_here, sqlite_studio, name):
    file = sqlite_studio.folder / HOSTILE[name][0]
    file.write_bytes(HOSTILE[name][1]())
    code, said, err = told_here("audit", file.name, *NETWORK, *FAST)
    assert (code, said, err.count("\n")) == (2, "", 1), err
    assert not (sqlite_studio.folder / "trapped").exists()
    assert num_runs() == 0


def test_predictions_of_another_tool_are_a_row_without_a_model(told_here, sqlite_studio):
    _, test = datasets()["digits"].load(settings().dataset_dir)
    label, rng = test.labels, np.random.default_rng(0)
    attacked = {name: rng.integers(0, 10, len(label)) for name in ("attacked_pgd", "attacked_x")}
    file = sqlite_studio.folder / "p.npz"
    np.savez(file, label=label, clean=label, **attacked)
    by = "tool <x> 1.2"
    words = ("import", "p.npz", "--by", by, "--data", "digits", "--epsilon", "8/255")
    code, said, err = told_here(*words, "--json")
    assert code == 0, err
    told = json.loads(said)
    run_id = told["run_id"]
    wrong = (attacked["attacked_pgd"] != label).mean()
    assert told["metrics"]["robust_error"]["average"] == pytest.approx(wrong)
    assert told["metrics"]["natural_error"]["average"] == 0
    assert told["evaluation_card"]["measured_by"] == by
    with open_database().read() as session:
        run = queries.get_run(session, run_id)
        assert [row.id for row in finished_runs(session)] == [run_id]
        assert {row.name for row in evaluations(session, run_id)} == {
            *(FINAL, f"x (linf 8/255), measured by {by}"),
        }
        said = outcomes(session, run_id, FINAL)
    np.testing.assert_array_equal(said["sample"], test.source)  # so it is paired with our runs
    assert (run.kind, run.status) == ("import", "succeeded")
    for command in (("evaluate", run_id), ("evaluate", run_id, "--queue")):
        code, _, err = told_here(*command)
        assert (code, err.count("\n")) == (2, 1), err
        assert "imported predictions, there is no model" in err
    assert told_here("export", run_id, "--what", "classes", "--out", "c.csv")[0] == 0
    for bad in (("--by", " "), ("--norm", "l9"), ("--epsilon", "x"), ("--by", "x" * 200)):
        code, _, err = told_here(*words, *bad)
        assert (code, err.count("\n")) == (2, 1), (bad, err)
    assert num_runs() == 1
