"""Claim a run and see its trainer process through to the end."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO

from sqlalchemy.orm import Session

from db import queries, transitions
from db.errors import DatabaseError, DatabaseFullError
from db.models import RunStatus
from db.modes import opener
from db.session import Database
from engine.scenario import Scenario
from tasks import causes, lock, memory, orphan
from tasks.host import identity
from tasks.patience import AWAY, patiently
from tasks.settings import settings
from tasks.submit import new_run

LOCK_PATIENCE = 2.0
"""Seconds; whoever only looks whether the lock is held, holds it for less."""
TICK = 0.1
log = logging.getLogger(__name__)


def run_attempt(
    database: Database,
    run_id: str,
    *,
    draining: Callable[[], bool] = lambda: False,
    claimed: Callable[[str], None] = lambda _: None,
) -> bool:
    """Claim a queued run and train it in a child process; False if it was not to be had.

    Args:
        database: Where the run is.
        run_id: Which run.
        draining: Asked ten times a second; True makes the trainer stop and queues the run again.
        claimed: Told the run's id once it is ours.
    """
    with database.read() as session:
        if queries.get_run(session, run_id) is None:  # deleted; a lock would bring its folder back
            return False
    with lock.held(settings().run_dir(run_id), patience=LOCK_PATIENCE) as mine:
        if not mine:
            return False
        with database.write() as session:
            number = transitions.claim(session, run_id, identity(), settings().lease_seconds)
        if number is None:
            return False
        claimed(run_id)
        _see_through(database, run_id, number, draining)
    return True


def run_now(
    database: Database,
    scenario: Scenario,
    actor: str,
    *,
    started: Callable[[str], None],
    tick: Callable[[], None],
) -> str:
    """Store a run and train it here; no worker can come first. Return its id.

    Args:
        database: Where the run is stored.
        scenario: What to train.
        actor: Who asked.
        started: Called once with the run's id.
        tick: Called ten times a second while it trains.

    Raises:
        UserError: The dataset is missing; nothing was stored.
    """
    run = new_run(scenario)
    me, lease = identity(), settings().lease_seconds
    with contextlib.ExitStack() as stack:
        with database.write() as session:
            run_id, _ = transitions.create_run(session, run, actor)
            stack.enter_context(lock.held(settings().run_dir(run_id)))
            number = transitions.claim(session, run_id, me, lease)
        assert number is not None  # nobody saw the row before
        started(run_id)

        def not_draining() -> bool:
            tick()
            return False

        _see_through(database, run_id, number, not_draining)
    return run_id


def _see_through(
    database: Database, run_id: str, number: int, draining: Callable[[], bool]
) -> None:
    """Train; a trainer that cannot even be started leaves its run interrupted, with the reason."""
    try:
        with _trainer(run_id, number) as child:
            Supervisor(database, run_id, number, child, draining).watch()
    except OSError as error:
        log.exception("No trainer for attempt %d", number)
        with database.write() as session:
            transitions.interrupt(session, run_id, number, *_no_trainer(session, run_id, error))


def _no_trainer(session: Session, run_id: str, error: OSError) -> tuple[str, str]:
    if causes.is_disk_full(error):
        rows = queries.checkpoints(session, run_id)
        epoch = rows[0].epoch if rows else None
        return causes.DISK_FULL, causes.disk_full(settings().data_dir, epoch, needed=0)
    return causes.LOST, f"No trainer could be started: {error.strerror}"


@contextlib.contextmanager
def _trainer(run_id: str, attempt: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the trainer in its own session, its output in the run's log; leave none behind."""
    path = settings().run_dir(run_id) / "log.txt"
    with open(path, "ab", opener=opener) as log:
        child = _start(run_id, attempt, log)
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()


def _start(run_id: str, attempt: int, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    words = [run_id, str(attempt), identity().device, str(os.getpid())]
    return subprocess.Popen(
        orphan.command(sys.executable, "-m", "tasks.trainer", *words),  # loading takes seconds
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


@dataclass
class Supervisor:
    """Renews the lease, carries a request to stop, and says how a dead trainer ended."""

    database: Database
    run_id: str
    attempt: int
    child: "subprocess.Popen[bytes]"
    draining: Callable[[], bool]
    _asked_at: float | None = None
    _drained: bool = False
    _killed: bool = False
    _kills_before: int = field(default_factory=lambda: memory.kills())

    def watch(self) -> None:
        """Return once the trainer is gone and its end is written down."""
        lease_ends = time.monotonic() + settings().lease_seconds
        beat_at = 0.0
        while self.child.poll() is None:
            now = time.monotonic()
            if self.draining() and self._asked_at is None:
                self._drained = True
                self._ask_to_stop()
            if now >= beat_at:
                beat_at = now + settings().heartbeat_seconds
                if self._beat():
                    lease_ends = now + settings().lease_seconds
            too_late = now > lease_ends or (
                self._asked_at is not None and now > self._asked_at + settings().stop_grace_seconds
            )
            if too_late:
                self._killed = True
                self.child.kill()
            time.sleep(TICK)
        left = max(lease_ends - time.monotonic(), 0.0)
        try:
            patiently(lambda: self._say_how_it_ended(self.child.returncode), left)
        except DatabaseError as error:  # the lease is over: the reconciler sees to the run
            log.warning("%s; how attempt %d ended is not written", error, self.attempt)

    def _beat(self) -> bool:
        """Renew the lease and hear whether to stop; False if the database does not answer."""
        try:
            with self.database.write() as session:
                status = transitions.heartbeat(
                    session, self.run_id, self.attempt, settings().lease_seconds
                )
        except (*AWAY, DatabaseFullError):
            return False
        if status is RunStatus.STOPPING and self._asked_at is None:
            self._ask_to_stop()
        if status is None:
            # Either the trainer has just written the run's end and is leaving, or another attempt
            # has the run and whatever this one still writes is refused.
            self._ask_to_stop()
        return True

    def _ask_to_stop(self) -> None:
        self._asked_at = self._asked_at or time.monotonic()
        self.child.send_signal(signal.SIGTERM)

    def _say_how_it_ended(self, code: int) -> None:
        """Write the end that the trainer could not write itself; otherwise nothing happens."""
        run_id, attempt = self.run_id, self.attempt
        with self.database.write() as session:
            cancelled = transitions.finish(
                session, run_id, attempt, RunStatus.CANCELLED, transitions.USER, "Stopped"
            )
            if cancelled:
                return
            reason, message = self._cause(session, code)
            transitions.interrupt(session, run_id, attempt, reason, message)

    def _cause(self, session: Session, code: int) -> tuple[str, str]:
        """Return why the trainer is gone, as a reason and in words."""
        if self._drained:
            return transitions.DRAIN, causes.DRAINED
        was_killed = code == -signal.SIGKILL and not self._killed
        if was_killed and memory.kills() > self._kills_before:
            run = queries.get_run(session, self.run_id)
            assert run is not None
            batch_size = Scenario.model_validate(run.scenario).training.batch_size
            return causes.OOM, causes.out_of_memory("killed by the system", batch_size)
        how = f"signal {-code}" if code < 0 else f"exit code {code}, see the run's log"
        what = f"the trainer ended with {how}"
        return causes.LOST, causes.lost(session, self.run_id, self.attempt, what)
