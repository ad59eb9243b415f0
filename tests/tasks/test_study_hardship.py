"""A study that loses everything half-way ends with the table of one that lost nothing."""

import os
import signal

import psutil

from app.compare.study import read_tables
from app.compare.study_text import as_json
from db import studies

FILE = """
name = "S"
seeds = [0]
[base.data]
dataset = "digits"
train_size = 200
test_size = 100
[base.training]
epochs = 12
[base.threat]
num_steps = 1
[base.evaluation]
num_steps = 2
val_num_steps = 1
[methods.trades]
[methods.caat]
"""


def kill_everything(studio) -> None:
    """End broker, worker and trainer at once, as a machine that loses its power does."""
    mine = [psutil.Process(process.pid) for process in studio.processes]
    every = [*mine, *(child for process in mine for child in process.children(recursive=True))]
    for process in every:
        os.kill(process.pid, signal.SIGKILL)
    for process in studio.processes:
        process.wait()
    studio.processes.clear()


def runs_of(studio):
    with studio.database.read() as session:
        return studies.runs_of(session, "S", 99)


def wait_for_the_end(studio) -> str:
    studio.wait_for(lambda: {run.status for run in runs_of(studio)} == {"succeeded"}, "the study")
    return as_json(read_tables(studio.database, "S"))


def test_a_study_that_loses_everything_half_way_ends_with_the_same_table(sqlite_studio, tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(FILE)
    sqlite_studio.start_broker()
    sqlite_studio.start_worker()
    assert sqlite_studio.caat("study", "launch", str(file)).returncode == 0
    for epochs in (2, 14):  # in the first run, then in a later one
        sqlite_studio.wait_for(
            lambda n=epochs: sum(run.epoch for run in runs_of(sqlite_studio)) >= n, "some epochs"
        )
        kill_everything(sqlite_studio)
        sqlite_studio.start_broker()
        sqlite_studio.start_worker()
    interrupted = wait_for_the_end(sqlite_studio)
    assert sum(run.attempt > 1 for run in runs_of(sqlite_studio)) >= 2
    deleted = sqlite_studio.caat("study", "delete", "S")
    assert deleted.stdout == "2 deleted\n", deleted.stderr
    assert sqlite_studio.caat("study", "launch", str(file)).returncode == 0
    assert wait_for_the_end(sqlite_studio) == interrupted
    assert {run.attempt for run in runs_of(sqlite_studio)} == {1}
