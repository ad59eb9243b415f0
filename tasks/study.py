"""Many runs as one: submitted together, stopped together, resumed together."""

from collections.abc import Sequence
from dataclasses import dataclass

from db import studies
from db.models import ACTIVE, RESUMABLE, STOPPABLE, USER, RunStatus
from db.portable import tidy_text
from db.writes import transitions
from engine.errors import UserError
from engine.scenario import Scenario
from tasks import commands
from tasks.queue.place import ANYWHERE, Place
from tasks.queue.submit import as_stored, new_run, send_messages
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
    _require_few(scenarios)
    database = open_database()
    place.require_known(database)
    runs = [
        new_run(scenario, study=name, place=place, idempotency_key=f"{idempotency_key}/{number:03}")
        for number, scenario in enumerate(scenarios)
    ]
    with database.write() as session:
        stored = studies.create_study(session, name, runs, actor=actor)
    return SubmittedStudy(stored.name, stored.run_ids, stored.created, sent=send_messages(database))


@dataclass(frozen=True)
class ExtendedStudy:
    """What a study got.

    Attributes:
        run_ids: The runs that were queued.
        there: How many were in the study already.
        sent: False if the broker did not answer; workers then find the runs in the database.
    """

    run_ids: list[str]
    there: int
    sent: bool


def extend_study(
    name: str, scenarios: Sequence[Scenario], *, actor: str, place: Place = ANYWHERE
) -> ExtendedStudy:
    """Queue what a study of this name does not have yet, all in one transaction.

    Called again with the same scenarios it queues nothing, so that a launch can be repeated, and a
    file that has grown launches what is new.

    Raises:
        UserError: As `submit_study` does; nothing was stored.
        DatabaseError: The database did not answer; nothing was stored.
    """
    _require_few(scenarios)
    database = open_database()
    place.require_known(database)
    name = tidy_text(name) or name
    runs = [new_run(scenario, study=name, place=place) for scenario in scenarios]
    with database.write() as session:
        made = studies.extend_study(session, name, runs, actor=actor)
    queued = [run_id for run_id in made if run_id is not None]
    sent = send_messages(database) if queued else True
    return ExtendedStudy(queued, len(made) - len(queued), sent=sent)


def missing(name: str, scenarios: Sequence[Scenario]) -> list[bool]:
    """Tell which scenarios a study of this name does not have yet; no run is stored."""
    with open_database().read() as session:
        there = studies.digests_of(session, tidy_text(name) or name)
    return [as_stored(scenario).digest() not in there for scenario in scenarios]


def _require_few(scenarios: Sequence[Scenario]) -> None:
    if len(scenarios) > MAX_RUNS:
        raise UserError(f"study: {len(scenarios)} runs are too many; allowed: 1 to {MAX_RUNS}")


def delete_study(name: str, actor: str, *, leave_files: bool = False) -> str:
    """Delete every run of a study with everything that it recorded.

    Raises:
        UserError: A run of it has not ended; nothing was deleted.
    """
    active = _with_status(name, tuple(ACTIVE))
    if active:
        raise UserError(f"{len(active)} runs of it have not ended; `caat study pause` them first")
    runs = _with_status(name, tuple(RunStatus))
    for run_id in runs:
        commands.delete(run_id, actor, leave_files=leave_files)
    return f"{len(runs)} deleted"


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
