"""Many runs as one: submitted together, stopped together, resumed together."""

from collections.abc import Sequence
from dataclasses import dataclass

from db import studies
from db.models import RESUMABLE, STOPPABLE, USER, RunStatus
from db.writes import transitions
from engine.errors import UserError
from engine.scenario import Scenario
from tasks.queue.place import ANYWHERE, Place
from tasks.queue.submit import new_run, send_messages
from tasks.settings import open_database
from tasks.worker import reconcile

MAX_RUNS = 1000


@dataclass(frozen=True)
class SubmittedStudy:
    """A study that is stored.

    Attributes:
        name: Its name: the wanted one, with a number after it if that was taken.
        run_ids: Its runs.
        created: False if the idempotency key had a study already.
        sent: False if the broker did not answer; workers then find the runs in the database.
    """

    name: str
    run_ids: list[str]
    created: bool
    sent: bool


def submit_study(
    name: str,
    scenarios: Sequence[Scenario],
    *,
    actor: str,
    idempotency_key: str,
    place: Place = ANYWHERE,
) -> SubmittedStudy:
    """Store every run of a study in one transaction, then tell the workers.

    Raises:
        UserError: A dataset is missing, the name cannot be shown, or the queue is unknown; nothing
            was stored.
        DatabaseError: The database did not answer; nothing was stored.
    """
    if len(scenarios) > MAX_RUNS:
        raise UserError(f"study: {len(scenarios)} runs are too many; allowed: 1 to {MAX_RUNS}")
    database = open_database()
    place.require_known(database)
    runs = [
        new_run(scenario, study=name, place=place, idempotency_key=f"{idempotency_key}/{number:03}")
        for number, scenario in enumerate(scenarios)
    ]
    with database.write() as session:
        stored = studies.create_study(session, name, runs, actor=actor)
    return SubmittedStudy(stored.name, stored.run_ids, stored.created, sent=send_messages(database))


def stop_study(name: str, actor: str) -> str:
    """Ask every run of a study that has not ended to stop, and say what follows."""
    reconcile.end_lost(open_database())
    told = []
    for run_id in _with_status(name, STOPPABLE):
        with open_database().write() as session:
            told.append(transitions.request_stop(session, run_id, actor))
    stopping, cancelled = told.count(RunStatus.STOPPING), told.count(RunStatus.CANCELLED)
    if not stopping and not cancelled:
        return "Nothing to stop: no run of it waits or trains"
    return (
        f"{stopping} stopping at the next step, {cancelled} cancelled before a start; what was "
        "recorded stays"
    )


def resume_study(name: str, actor: str) -> str:
    """Queue every run of a study again that failed, was stopped or was interrupted."""
    reconcile.end_lost(open_database())
    queued = 0
    for run_id in _with_status(name, RESUMABLE):
        with open_database().write() as session:
            queued += transitions.requeue(session, run_id, actor, reason=USER)
    if not queued:
        return "Nothing to resume: no run of it was stopped or failed"
    sent = send_messages(open_database())
    later = "" if sent else "; the broker is unreachable, they start by themselves"
    return f"{queued} queued again{later}"


def _with_status(name: str, statuses: tuple[RunStatus, ...]) -> list[str]:
    """Return the ids of a study's runs that stand there, the newest first: it starts last."""
    with open_database().read() as session:
        runs = studies.runs_of(session, name, MAX_RUNS)
    return [run.id for run in runs if run.status in statuses]
