"""How a trainer ends, and whose fault it says it was."""

import sys

from db.errors import DatabaseUnreachableError
from db.writes import transitions
from tasks import trainer
from tasks.processes.host import identity


def test_a_database_that_stays_away_ends_the_trainer_but_does_not_fail_its_run(
    sqlite_studio, caat_here, monkeypatch
):
    def train(*_args, **_knobs):
        raise DatabaseUnreachableError("away")

    run_id = sqlite_studio.queue()
    with sqlite_studio.database.write() as session:
        number = transitions.claim(session, run_id, identity(), lease_seconds=30)
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.setattr(sys, "argv", ["trainer", run_id, str(number), "cpu", "0"])
    monkeypatch.setattr(trainer, "die_with_parent", lambda parent: None)
    monkeypatch.setattr(trainer.signal, "signal", lambda *_: None)
    monkeypatch.setattr(trainer, "train", train)
    assert trainer.main() == 1
    assert sqlite_studio.run(run_id).status == "running"  # its supervisor says that it was lost
