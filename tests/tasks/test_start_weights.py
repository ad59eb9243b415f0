"""A run starts from another's weights; at the launch they are found, checked and kept."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file
from sqlalchemy import func, select, update

from db.models import Attempt, Run
from db.reads import queries
from engine.training.selection import deployed
from engine.training.start_weights import weights_digest
from tasks.recording import checkpoints
from tasks.settings import open_database, settings
from tasks.worker.supervise import run_attempt

START = "training.start_from"


@pytest.fixture
def train(sqlite_studio):
    """Train here and now, and return the run's id."""

    def run(*changes: str) -> str:
        sets = [word for change in changes for word in ("--set", change)]
        done = sqlite_studio.caat("run", str(sqlite_studio.scenario), "--json", *sets)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["status"] == "succeeded", told
        return str(told["run_id"])

    return run


def newest(run_id):
    with open_database().read() as session:
        return checkpoints.newest_good(settings().data_dir, queries.checkpoints(session, run_id))


def detail(run_id):
    with open_database().read() as session:
        return queries.get_run(session, run_id)


def num_runs():
    with open_database().read() as session:
        return session.execute(select(func.count()).select_from(Run)).scalar_one()


def test_a_run_starts_from_a_run_or_from_its_export_and_outlives_both(
    told_here, sqlite_studio, train
):
    first = train("evaluation.checkpoint=best", "training.epochs=4")
    epoch, state = newest(first)
    digest = weights_digest(deployed(state, epoch).weights)  # what its test looked at
    out = sqlite_studio.folder / "first.safetensors"
    assert told_here("export", first, "--what", "model", "--out", str(out))[0] == 0
    torch.save(load_file(out), sqlite_studio.folder / "first.pt")
    ids = []
    for asked in (first, first[:9], "first.safetensors", f"{sqlite_studio.folder}/first.pt"):
        code, said, err = told_here("launch", "scenario.toml", "--set", f"{START}={asked}")
        assert code == 0, err
        ids.append(said.strip())
    rows = [detail(run_id) for run_id in ids]
    assert {row.scenario["training"]["start_from"] for row in rows} == {digest}
    assert len({row.scenario_digest for row in rows}) == 1
    assert rows[0].scenario_digest != detail(first).scenario_digest
    assert told_here("delete", first)[0] == 0
    out.unlink()
    (sqlite_studio.folder / "first.pt").unlink()
    second = train(f"{START}={digest}", "training.epochs=1", "training.lr=1e-30")
    moved = deployed(newest(second)[1], 1).weights
    kept = deployed(state, epoch).weights
    assert all(torch.equal(moved[name], kept[name]) for name in kept)
    assert detail(second).facts["start_weights"] == digest
    assert detail(second).scenario["training"]["start_from"] == digest


def test_what_cannot_be_started_from_is_one_line_and_queues_nothing(
    told_here, sqlite_studio, train
):
    first = train("training.epochs=1")
    (sqlite_studio.folder / "text.safetensors").write_text("no weights")
    code, waiting, _ = told_here("launch", "scenario.toml")
    assert code == 0
    before = num_runs()
    for asked, changes, why in (
        ("0123456789", (), "no run starts with '0123456789'"),
        (waiting.strip(), (), "is queued; wait until it has ended"),
        ("f" * 64, (), "no weights ffffffffffffffff are kept on this host in"),
        ("gone.pt", (), "gone.pt cannot be read (No such file or directory)"),
        ("text.safetensors", (), "text.safetensors holds no weights that can be read"),
        (".", (), "cannot be read (Is a directory)"),
        (first, ("model.width=8",), f"run {first} does not fit small-cnn for 10 classes"),
        (first, ("model.backbone=mlp",), f"run {first} does not fit mlp for 10 classes"),
    ):
        for command in ("launch", "run") if asked == "gone.pt" else ("launch",):
            sets = [w for change in (f'{START}="{asked}"', *changes) for w in ("--set", change)]
            code, said, err = told_here(command, "scenario.toml", *sets)
            assert (code, said) == (2, ""), (asked, command, err)
            assert re.fullmatch(r"caat: training\.start_from: [^\n]*\n", err), err
            assert why in err
    assert num_runs() == before
    assert not (settings().data_dir / "weights").exists()


def test_a_run_whose_checkpoints_are_on_another_host_is_one_line(told_here, train):
    first = train("training.epochs=1")
    with open_database().write() as session:
        far = {"host": "far", "data_dir": "/data", "lock_domain": "boot.12"}
        session.execute(update(Attempt).where(Attempt.run_id == first).values(**far))
    for file in (settings().run_dir(first)).glob("*.safetensors"):
        file.unlink()
    code, said, err = told_here("launch", "scenario.toml", "--set", f"{START}={first}")
    assert (code, said) == (2, "")
    assert err == (
        f"caat: training.start_from: {first}: its checkpoints are not on this host but on far, in "
        "/data: run this command there\n"
    )
    assert num_runs() == 1


def test_a_trainer_whose_weights_are_damaged_says_so(told_here, train):
    first = train("training.epochs=1")
    code, said, _ = told_here("launch", "scenario.toml", "--set", f"{START}={first}")
    assert code == 0
    digest = detail(said.strip()).scenario["training"]["start_from"]
    file = settings().data_dir / "weights" / f"{digest}.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    code, _, err = told_here("launch", "scenario.toml", "--set", f"{START}={digest}")
    assert code == 2
    assert f"{file} is damaged; delete it" in err
    assert run_attempt(open_database(), said.strip())
    run = detail(said.strip())
    assert (run.status, run.reason) == ("failed", "input")
    assert "is damaged" in run.message
