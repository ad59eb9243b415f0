"""Claim a run and see its trainer process through to the end."""

import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from db.errors import DatabaseError, DatabaseFullError
from db.models import DRAIN, USER, RunStatus
from db.modes import opener
from db.reads import queries
from db.session import Database
from db.writes import interruption, transitions
from db.writes.transitions import NewRun
from tasks.processes import lock, memory
from tasks.processes.database_retry import TRANSIENT_ERRORS, retry_transient
from tasks.processes.host import identity
from tasks.recording import causes
from tasks.settings import settings
from tasks.worker.reconcile import queue_again
from tasks.worker.spare import spare, start_trainer

LOCK_TIMEOUT = 2.0
"""Seconds; whoever only looks whether the lock is held, holds it for less."""
TICK = 0.1
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claimed:
    """An attempt that this process has claimed.

    Attributes:
        database, run_id, number: Which one.
        draining: Asked ten times a second; True makes the trainer stop and queues the run again.
        told_to_end: Asked as often; why the run is to be stopped for good, or nothing.
        tick: Called as often.
    """

    database: Database
    run_id: str
    number: int
    draining: Callable[[], bool] = lambda: False
    told_to_end: Callable[[], str] = lambda: ""
    tick: Callable[[], None] = lambda: None


def run_attempt(
    database: Database,
    run_id: str,
    *,
    times_queued: int | None = None,
    draining: Callable[[], bool] = lambda: False,
    claimed: Callable[[str], None] = lambda _: None,
) -> bool:
    """Claim a queued run and train it in a child process; False if it was not to be had.

    Args:
        database: Where the run is.
        run_id: Which run.
        times_queued: As for `transitions.claim`.
        draining: As in `Claimed`.
        claimed: Told the run's id once it is ours.
    """
    with database.read() as session:
        if queries.get_run(session, run_id) is None:  # deleted; a lock would bring its folder back
            return False
    with lock.held(settings().run_dir(run_id), timeout=LOCK_TIMEOUT) as mine:
        if not mine:
            return False
        with database.write() as session:
            me, lease, times = identity(), settings().lease_seconds, times_queued
            number = transitions.claim(session, run_id, me, lease_seconds=lease, times_queued=times)
        if number is None:
            return False
        claimed(run_id)
        _see_through(Claimed(database, run_id, number, draining=draining))
    return True


def run_now(
    database: Database,
    run: NewRun,
    actor: str,
    *,
    started: Callable[[str], None],
    tick: Callable[[], None],
    told_to_end: Callable[[], str],
) -> str | None:
    """Store a run and see it through here, over as many attempts as a worker would; return its id.

    No worker can come first, or between two attempts.

    Args:
        database: Where the run is stored.
        run: What to store, as `tasks.queue.submit.new_run` makes it.
        actor: Who asked.
        started: Called once with the run's id.
        tick: Called ten times a second meanwhile.
        told_to_end: Asked ten times a second: why the run is to be stopped, or nothing. Before the
            run is stored that ends it all: None is returned.
    """
    if told_to_end():
        return None
    me, lease = identity(), settings().lease_seconds
    with contextlib.ExitStack() as stack:
        with database.write() as session:
            run_id, _ = transitions.create_run(session, run, actor)
            stack.enter_context(lock.held(settings().run_dir(run_id)))
            number = transitions.claim(session, run_id, me, lease_seconds=lease)
        started(run_id)
        while number is not None:
            claim = Claimed(database, run_id, number, told_to_end=told_to_end, tick=tick)
            _see_through(claim)
            number = _next_attempt(claim)
    return run_id


def _next_attempt(ended: Claimed) -> int | None:
    """Begin the next attempt of an interrupted run, after a pause, if one is to follow."""
    until = time.monotonic() + settings().retry_after_seconds / 2  # the next sweep comes later
    while _is_interrupted(ended) and time.monotonic() < until and not ended.told_to_end():
        ended.tick()
        time.sleep(TICK)
    return retry_transient(lambda: _begin(ended), settings().lease_seconds)


def _is_interrupted(ended: Claimed) -> bool:
    def look() -> bool:
        with ended.database.read() as session:
            return interruption.interrupted(session, ended.run_id) is not None

    return retry_transient(look, settings().lease_seconds)


def _begin(ended: Claimed) -> int | None:
    with ended.database.write() as session:
        waiting = interruption.interrupted(session, ended.run_id)
        if waiting is None:
            return None
        if told := ended.told_to_end():
            transitions.request_stop(session, ended.run_id, identity().id, message=told)
            return None
        queue_again(session, waiting)
        lease = settings().lease_seconds
        return transitions.claim(session, ended.run_id, identity(), lease_seconds=lease)


def _see_through(claim: Claimed) -> None:
    """Train; a trainer that cannot even be started leaves its run interrupted, with the reason."""
    try:
        with _trainer(claim.run_id, claim.number) as child:
            Supervisor(claim, child).watch()
    except OSError as error:
        log.exception("No trainer for attempt %d", claim.number)
        with claim.database.write() as session:
            reason, message = _no_trainer(session, claim.run_id, error)
            transitions.interrupt(
                session, claim.run_id, claim.number, reason=reason, message=message
            )


def _no_trainer(session: Session, run_id: str, error: OSError) -> tuple[str, str]:
    if causes.is_disk_full(error):
        rows = queries.checkpoints(session, run_id)
        epoch, run = rows[0].epoch if rows else None, queries.get_run(session, run_id)
        is_job = run is not None and run.is_job
        told = causes.disk_full(settings().data_dir, epoch, needed=0, is_job=is_job)
        return causes.DISK_FULL, told
    return causes.LOST, f"No trainer could be started: {error.strerror}"


@contextlib.contextmanager
def _trainer(run_id: str, attempt: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the trainer in its own session, its output in the run's log; leave none behind."""
    path = settings().run_dir(run_id) / "log.txt"
    words = [run_id, str(attempt), identity().device, str(os.getpid())]
    with open(path, "ab", opener=opener) as log:
        child = spare.take(words, path) or start_trainer(words, log)
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()


@dataclass
class Supervisor:
    """Renews the lease, carries a request to stop, and says how a dead trainer ended."""

    claim: Claimed
    child: "subprocess.Popen[bytes]"
    _asked_at: float | None = None
    _drained: bool = False
    _told: str = ""
    _killed: bool = False
    _kills_before: int = field(default_factory=lambda: memory.oom_kills())

    def watch(self) -> None:
        """Return once the trainer is gone and its end is written down."""
        lease_ends = time.monotonic() + settings().lease_seconds
        heartbeat_at = 0.0
        while self.child.poll() is None:
            now = time.monotonic()
            self._ask_caller()
            if now >= heartbeat_at:
                heartbeat_at = now + settings().heartbeat_seconds
                if self._heartbeat():
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
            retry_transient(lambda: self._say_how_it_ended(self.child.returncode), left)
        except DatabaseError as error:  # the lease is over: the reconciler sees to the run
            log.warning("%s; how attempt %d ended is not written", error, self.claim.number)

    def _ask_caller(self) -> None:
        """Ask whether this process is to end; the trainer is then asked to stop."""
        self.claim.tick()
        if self._asked_at is None:
            self._drained, self._told = self.claim.draining(), self.claim.told_to_end()
            if self._drained or self._told:
                self._ask_to_stop()

    def _heartbeat(self) -> bool:
        """Renew the lease and read whether to stop; False if the database does not answer."""
        claim = self.claim
        try:
            with claim.database.write() as session:
                status = transitions.heartbeat(
                    session, claim.run_id, claim.number, lease_seconds=settings().lease_seconds
                )
        except (*TRANSIENT_ERRORS, DatabaseFullError):
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
        run_id, number = self.claim.run_id, self.claim.number
        with self.claim.database.write() as session:
            if self._told:
                transitions.request_stop(session, run_id, identity().id)
            stopped = self._told or "Stopped"
            if transitions.finish(
                session, run_id, number, status=RunStatus.CANCELLED, reason=USER, message=stopped
            ):
                return
            reason, message = self._cause(session, code)
            transitions.interrupt(session, run_id, number, reason=reason, message=message)

    def _cause(self, session: Session, code: int) -> tuple[str, str]:
        """Return why the trainer is gone, as a reason and in words."""
        if self._drained:
            return DRAIN, causes.DRAINED
        run_id, number = self.claim.run_id, self.claim.number
        was_killed = code == -signal.SIGKILL and not self._killed
        if was_killed and memory.oom_kills() > self._kills_before:
            run = queries.get_run(session, run_id)
            assert run is not None
            return causes.OOM, causes.out_of_memory("killed by the system", run)
        how = f"signal {-code}" if code < 0 else f"exit code {code}, see the run's log"
        what = f"the trainer ended with {how}"
        return causes.LOST, causes.lost(session, run_id, number, what=what, resumes=True)
