"""The ``caat`` command as people type it."""

import errno
import json
import os
import re
import shutil
import tomllib

import pandas as pd
import pyarrow.parquet
import pytest
import torch
from safetensors.torch import load_file
from sqlalchemy import select

from db.models import Base, RunStatus
from db.reads import queries
from db.writes import deletion, transitions
from engine.data.datasets.base import datasets
from engine.errors import UserError
from engine.scenario import Scenario
from engine.types import under
from tasks import commands, study
from tasks.queue.submit import NOT_SENT
from tasks.settings import open_database
from tasks.worker import reconcile
from tasks.worker.supervise import run_attempt


def test_run_prints_one_json_object_with_every_error_per_class(sqlite_studio):
    done = sqlite_studio.caat("run", str(sqlite_studio.scenario), "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["status"] == "succeeded"
    assert result["evaluation_card"]["epsilon"] == 0.1
    assert result["evaluation_card"]["n"] == 50
    for name in ("natural_error", "boundary_error", "robust_error"):
        errors = result["metrics"][name]
        per_class = errors["per_class"]
        assert [item["class"] for item in per_class] == list("0123456789")
        assert sum(item["n"] for item in per_class) == 50
        wrong = sum(item["value"] * item["n"] for item in per_class)
        assert errors["average"] == pytest.approx(wrong / 50)
        assert errors["worst"] == max(item["value"] for item in per_class)
    metrics = result["metrics"]
    assert metrics["robust_error"]["average"] == pytest.approx(
        metrics["natural_error"]["average"] + metrics["boundary_error"]["average"]
    )


def test_a_protocol_with_the_authors_defects_is_named_beside_its_numbers(sqlite_studio):
    file, released = str(sqlite_studio.scenario), ("--set", "method.protocol=as-released")
    done = sqlite_studio.caat("run", file, "--json", *released)
    result = json.loads(done.stdout)
    label = "caat (as-released)"
    assert result["method"] == result["evaluation_card"]["method"] == label
    status = sqlite_studio.caat("status", result["run_id"], "--json")
    assert json.loads(status.stdout)["method"] == label
    listed = json.loads(sqlite_studio.caat("status", "--json").stdout)["runs"]
    assert [run["method"] for run in listed] == [label]
    refused = sqlite_studio.caat("run", file, *released, "--set", "method.bounds=grad")
    assert refused.returncode == 2
    assert refused.stderr.startswith("caat: method.bounds: 'grad' is not valid")


def test_exports_hold_every_sample_of_every_epoch_and_the_model(sqlite_studio):
    done = sqlite_studio.caat("run", str(sqlite_studio.scenario), "--json")
    run_id = json.loads(done.stdout)["run_id"]
    folder = sqlite_studio.folder

    def export(what: str, name: str) -> None:
        wrote = sqlite_studio.caat("export", run_id, "--what", what, "--out", str(folder / name))
        assert wrote.returncode == 0, wrote.stderr

    export("samples", "samples.csv")
    samples = pd.read_csv(folder / "samples.csv")
    assert list(samples) == [
        "epoch", "sample", "given_label", "true_label", "clean_weight", "adversary_weight",
        "anti_adversary_weight", "bound", "loss", "class_loss", "gradient_norm", "margin",
        "entropy", "class_proportion",
    ]  # fmt: skip
    assert len(samples) == 3 * 200
    assert samples.groupby("epoch")["sample"].nunique().tolist() == [200, 200, 200]
    assert (samples["given_label"] != samples["true_label"]).any()
    export("samples", "samples.parquet")
    assert pyarrow.parquet.read_table(folder / "samples.parquet").num_rows == 600
    export("metrics", "metrics.csv")
    assert {"train", "validation", "test"} == set(pd.read_csv(folder / "metrics.csv")["split"])
    export("classes", "classes.csv")
    assert "class" in pd.read_csv(folder / "classes.csv")
    export("evaluations", "evaluations.csv")
    said = pd.read_csv(folder / "evaluations.csv")
    assert list(said) == ["evaluation", "sample", "label", "clean", "attacked"]
    assert said["evaluation"].eq("final").all()
    robust = json.loads(done.stdout)["metrics"]["robust_error"]["average"]
    assert (said["attacked"] != said["label"]).mean() == robust
    export("model", "model.safetensors")
    assert "backbone.0.weight" in load_file(folder / "model.safetensors")
    for what, name in [("samples", "x.txt"), ("model", "x.csv"), ("nothing", "x.csv")]:
        refused = sqlite_studio.caat("export", run_id, "--what", what, "--out", str(folder / name))
        assert refused.returncode == 2
        assert len(refused.stderr.strip().splitlines()) == 1


def test_the_exported_model_is_the_average_that_was_tested(sqlite_studio):
    change = {"method.name": "cfa", "method.average_from": 0, "method.average_threshold": 0}
    options = [part for path, value in change.items() for part in ("--set", f"{path}={value}")]
    done = sqlite_studio.caat("run", str(sqlite_studio.scenario), *options, "--json")
    result = json.loads(done.stdout)
    assert result["evaluation_card"]["checkpoint"] == "last epoch, averaged weights"
    out = sqlite_studio.folder / "average.safetensors"
    wrote = sqlite_studio.caat("export", result["run_id"], "--what", "model", "--out", str(out))
    assert wrote.returncode == 0, wrote.stderr
    newest = max(sqlite_studio.folder.rglob("e000003-*.safetensors"))
    state, exported = load_file(newest), load_file(out)
    weight = "backbone.0.weight"
    assert (exported[weight] == state[f"average.{weight}"]).all()
    assert (exported[weight] != state[f"model.{weight}"]).any()


def test_a_run_that_stops_early_succeeds_and_exports_its_best_model(sqlite_studio):
    changes = [
        "training.epochs=40",
        "training.patience=1",
        "training.warm_start_epochs=1",
        "evaluation.checkpoint=best",
    ]
    words = [word for change in changes for word in ("--set", change)]
    done = sqlite_studio.caat("run", str(sqlite_studio.scenario), "--json", *words)
    result = json.loads(done.stdout)
    assert result["status"] == "succeeded"
    found = re.fullmatch(
        r"epoch (\d+) of (\d+), best on validation data; stopped early of 40",
        result["evaluation_card"]["checkpoint"],
    )
    best, last = int(found[1]), int(found[2])
    assert 1 < best == last - 1 < 39
    status = json.loads(sqlite_studio.caat("status", result["run_id"], "--json").stdout)
    assert (status["status"], status["epoch"]) == ("succeeded", last)
    out = sqlite_studio.folder / "best.safetensors"
    sqlite_studio.caat("export", result["run_id"], "--what", "model", "--out", str(out))
    newest = max((sqlite_studio.folder).rglob("e*.safetensors"))
    kept = load_file(newest)
    assert load_file(out).keys() == under("model.", kept).keys()
    for name, value in load_file(out).items():
        assert torch.equal(value, kept[f"selection.weights.{name}"])


@pytest.mark.parametrize(
    ("change", "field", "allowed"),
    [
        ("threat.epsilon=300", "threat.epsilon: 300", "0 to 1"),
        ("training.epochs=0", "training.epochs: 0", "1 to 1000"),
        ("colour=1", "colour", "unknown key"),
        ("data.dataset=imagenet", "data.dataset: 'imagenet'", "digits, fashion-mnist"),
        ("data.meta_per_class=300", "data.meta_per_class: 300", "1 to"),
        ("data.train_size=5", "data.train_size: 5", "10 to"),
        (
            "method.name=magic",
            "method: 'magic'",
            "choose balanced-softmax, caat, caat-rl",
        ),
        ("threat.epsilon", "--set", "a.b=value"),
    ],
)
def test_bad_input_is_one_line_and_writes_no_row(caat_here, change, field, allowed):
    code, line = caat_here("launch", "scenario.toml", "--set", change)
    assert code == 2
    assert line.count("\n") == 1
    assert field in line
    assert allowed in line
    with open_database().read() as session:
        assert queries.run_count(session) == 0


@pytest.mark.parametrize(
    "words", [["fly"], ["run"], ["run", "nowhere.toml"], ["stop", "nothing"], ["up", "--port", "0"]]
)
def test_what_is_no_command_no_file_or_no_run_is_one_line(caat_here, words):
    code, line = caat_here(*words)
    assert code == 2
    assert line.startswith("caat: ")
    assert line.count("\n") == 1


def test_a_missing_dataset_is_one_line_and_writes_no_row(caat_here, monkeypatch):
    def offline(self: object, folder: object) -> None:
        raise UserError("data.dataset: fashion-mnist is not on this machine")

    monkeypatch.setattr(type(datasets()["fashion-mnist"]), "ensure", offline)
    code, line = caat_here("run", "scenario.toml", "--set", "data.dataset=fashion-mnist")
    assert (code, line) == (2, "caat: data.dataset: fashion-mnist is not on this machine\n")
    with open_database().read() as session:
        assert queries.run_count(session) == 0


def test_an_unreachable_database_is_one_line_without_its_password(sqlite_studio):
    sqlite_studio.environment["CAAT_DATABASE_URL"] = "postgresql://me:secret@127.0.0.1:9/none"
    refused = sqlite_studio.caat("status")
    assert refused.returncode == 1
    assert len(refused.stderr.strip().splitlines()) == 1
    assert "secret" not in refused.stderr


def test_the_doctor_names_every_part_and_hides_secrets(sqlite_studio):
    sqlite_studio.environment["CAAT_BROKER_URL"] = "redis://:secret@127.0.0.1:9/0"
    seen = sqlite_studio.caat("doctor", "--json")
    assert seen.returncode == 1
    findings = {finding["part"]: finding for finding in json.loads(seen.stdout)["findings"]}
    assert findings["database"]["ok"]
    assert not findings["broker"]["ok"]
    assert not findings["workers"]["ok"]
    assert {"versions", "settings", "device", "disk", "data digits"} <= findings.keys()
    assert "secret" not in seen.stdout


def test_a_deleted_run_leaves_neither_rows_nor_files(caat_here, sqlite_studio):
    assert caat_here("run", "scenario.toml", "--set", "training.epochs=1")[0] == 0
    with open_database().read() as session:
        (run_id,) = queries.find_runs(session, "")
    assert any(sqlite_studio.folder.rglob("e*.safetensors"))
    assert caat_here("delete", run_id)[0] == 0
    assert not (sqlite_studio.folder / "runs" / run_id).exists()
    with open_database().read() as session:
        assert queries.run_count(session) == 0
        for table in Base.metadata.tables.values():
            if "run_id" in table.c and table.name != "worker":
                assert session.execute(select(table).limit(1)).first() is None
    assert caat_here("delete", run_id)[0] == 2


def test_a_run_that_has_not_ended_is_not_deleted(caat_here):
    caat_here("launch", "scenario.toml")
    with open_database().read() as session:
        (run_id,) = queries.find_runs(session, "")
    code, line = caat_here("delete", run_id)
    assert (code, line) == (2, "caat: Stop it first: the run is queued\n")
    with open_database().read() as session:
        assert queries.get_run(session, run_id).status is RunStatus.QUEUED


def test_a_deletion_cut_short_is_ended_by_the_next_sweep(caat_here, sqlite_studio):
    caat_here("launch", "scenario.toml")
    with open_database().read() as session:
        (run_id,) = queries.find_runs(session, "")
    folder = sqlite_studio.folder / "runs" / run_id
    folder.mkdir(parents=True)
    (folder / "left.safetensors").write_bytes(b"x")
    with open_database().write() as session:
        transitions.request_stop(session, run_id, "tester")
        assert deletion.start_deletion(session, run_id, "tester")
    reconcile.sweep(open_database())
    assert not folder.exists()
    with open_database().read() as session:
        assert queries.run_count(session) == 0


def test_files_that_cannot_be_deleted_keep_their_row_for_a_later_sweep(
    caat_here, sqlite_studio, monkeypatch
):
    caat_here("launch", "scenario.toml")
    with open_database().read() as session:
        (run_id,) = queries.find_runs(session, "")
    folder = sqlite_studio.folder / "runs" / run_id
    folder.mkdir(parents=True)
    assert caat_here("stop", run_id)[0] == 0

    def busy(path):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", busy)
        assert "some of its files are in use" in commands.delete(run_id, "tester")
        reconcile.sweep(open_database())
    with open_database().read() as session:
        assert queries.get_run(session, run_id).status is RunStatus.DELETING
    reconcile.sweep(open_database())
    assert not folder.exists()
    with open_database().read() as session:
        assert queries.run_count(session) == 0


def test_a_message_of_a_deleted_run_does_not_bring_its_folder_back(caat_here, sqlite_studio):
    assert not run_attempt(open_database(), "0" * 32)
    assert not (sqlite_studio.folder / "runs").exists()


def test_the_database_can_be_checked_upgraded_and_backed_up(sqlite_studio):
    assert "no damage" in sqlite_studio.caat("db", "check").stdout
    assert sqlite_studio.caat("db", "upgrade").returncode == 0
    copy = sqlite_studio.folder / "copy.db"
    assert sqlite_studio.caat("db", "backup", "--out", str(copy)).returncode == 0
    assert copy.read_bytes().startswith(b"SQLite format 3")
    assert sqlite_studio.caat("db", "backup", "--out", str(copy)).returncode == 1


def test_an_id_that_fits_no_run_or_several_is_told_with_how_many_it_fits(caat_here, sqlite_studio):
    first_letters = [sqlite_studio.queue()[0] for _ in range(17)]  # of 16 there are
    often = max(first_letters, key=first_letters.count)
    with pytest.raises(UserError) as several:
        commands.find_run(often)
    number = first_letters.count(often)
    assert str(several.value).startswith(f"RUN: {number} runs start with {often!r}; ")
    with pytest.raises(UserError, match=r"^RUN: no run starts with 'xyz'; "):
        commands.find_run("xyz")


def test_a_deletion_cut_short_is_ended_by_asking_for_it_again(caat_here, sqlite_studio):
    run_id = sqlite_studio.queue()
    with open_database().write() as session:
        transitions.request_stop(session, run_id, "tester")
        assert deletion.start_deletion(session, run_id, "tester")
    told = commands.delete(run_id, "tester")
    assert told == "Deleted, with its weights, checkpoints and curves"
    with open_database().read() as session:
        assert queries.get_run(session, run_id) is None


def test_a_run_resumed_without_a_broker_is_said_to_wait_for_it(caat_here, sqlite_studio):
    run_id = sqlite_studio.queue()
    assert commands.stop(run_id, "tester") == "Cancelled; nothing of it was at work"
    assert commands.resume(run_id, "tester") == NOT_SENT
    assert commands.resume(run_id, "tester") == "Nothing to resume: the run is queued"


def test_what_a_study_is_told_to_do_is_answered_with_how_many_runs_do_it(caat_here, sqlite_studio):
    scenario = Scenario.model_validate(tomllib.loads(sqlite_studio.scenario.read_text()))
    seeds = [scenario.model_copy(update={"seed": seed}) for seed in range(4)]
    found = study.submit_study("S", seeds, actor="tester", idempotency_key="key")
    worker = transitions.WorkerIdentity("far", "another-host", "boot", 1, "cpu")
    with open_database().write() as session:
        assert transitions.claim(session, found.run_ids[2], worker, lease_seconds=600) == 1
    assert study.resume_study("S", "tester") == (
        "Nothing to resume: no run of it was stopped or failed"
    )
    assert study.stop_study("S", "tester") == (
        "1 stopping at the next step, 3 cancelled before a start; what was recorded stays"
    )
    assert study.stop_study("S", "tester") == "Nothing to stop: no run of it waits or trains"
    assert study.resume_study("S", "tester") == (
        "3 queued again; the broker is unreachable, they start by themselves"
    )
    assert study.stop_study("S", "tester") == (
        "0 stopping at the next step, 3 cancelled before a start; what was recorded stays"
    )
