"""Many runs as one: submitted together, stopped together, resumed together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from db import studies
from db.models import ACTIVE, RESUMABLE, STOPPABLE, USER, RunStatus
from db.portable import searchable, tidy_text
from db.reads.rows import RunRow
from db.studies import Found
from db.writes import transitions
from db.writes.transitions import NewRun
from engine.data.fingerprint import fingerprint
from engine.errors import UserError
from engine.scenario import NUMERICS, Scenario
from engine.study import Cell
from tasks import commands
from tasks.queue.place import ANYWHERE, Place
from tasks.queue.submit import as_stored, new_run, row_of, send_messages
from tasks.settings import open_database, settings
from tasks.worker import reconcile

ASK_ABOVE = 10_000
"""Runs of one study that nobody queues by mistake."""
MAX_RUNS = 30_000
FORM_RUNS = 1000
"""Runs that the form launches at once."""


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
    _require_few(scenarios, FORM_RUNS)
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
        shared: How many runs of other studies it has now as well.
        there: How many were in the study already.
        sent: False if the broker did not answer; workers then find the runs in the database.
    """

    run_ids: list[str]
    shared: int
    there: int
    sent: bool


def extend_study(
    name: str, cells: Sequence[Cell], *, actor: str, place: Place = ANYWHERE
) -> ExtendedStudy:
    """Give a study of this name what it does not have yet, all in one transaction.

    What another study or a single launch has trained, or is about to, is shared and not trained
    again: an equal scenario on equal data, by a program of the same numbers. Called again with the
    same cells it queues nothing, so that a launch can be repeated, and a file that has grown
    launches what is new.

    Raises:
        UserError: As `submit_study` does; nothing was stored.
        DatabaseError: The database did not answer; nothing was stored.
    """
    _require_few(cells, MAX_RUNS)
    database = open_database()
    place.require_known(database)
    name = tidy_text(name) or name
    runs = [new_run(cell.scenario, study=name, place=place) for cell in cells]
    wanted = _wanted(cells, runs)
    with database.write() as session:
        made = studies.extend_study(session, name, wanted, numerics=NUMERICS, actor=actor)
    queued = [run_id for found, run_id in made if found is Found.NEW]
    shared = sum(found is Found.SHARED for found, _ in made)
    sent = send_messages(database) if queued else True
    return ExtendedStudy(queued, shared, len(made) - len(queued) - shared, sent=sent)


def look_up(name: str, cells: Sequence[Cell]) -> list[Found]:
    """Tell where each run of a study of this name would come from; nothing is stored."""
    name = tidy_text(name) or name
    wanted = wanted_cells(cells)
    with open_database().read() as session:
        return [found for found, _ in studies.look_up(session, name, wanted, numerics=NUMERICS)]


def wanted_cells(cells: Sequence[Cell]) -> list[studies.Cell]:
    """Return what a study wants; no dataset is fetched for it."""
    return _wanted(cells, [_row_without_fetching(cell.scenario) for cell in cells])


def _wanted(cells: Sequence[Cell], runs: Sequence[NewRun]) -> list[studies.Cell]:
    return [
        studies.Cell(
            run,
            scenario=_fitting(cell.scenario_name),
            method=_fitting(cell.method_name),
            family=_fitting(cell.family or cell.method_name),
            place=place,
            plugins=cell.scenario.plugins(),
        )
        for place, (cell, run) in enumerate(zip(cells, runs, strict=True))
    ]


def _fitting(name: str) -> str:
    """Return a name as far as its column has room."""
    return searchable(name)[: studies.NAME_LENGTH]


def _row_without_fetching(scenario: Scenario) -> NewRun:
    source, folder = scenario.data.source, settings().dataset_dir
    here = fingerprint(source, folder) if source.is_here(folder) else None
    return replace(row_of(as_stored(scenario)), data_digest=here)


def _require_few(runs: Sequence[object], most: int) -> None:
    if len(runs) > most:
        raise UserError(f"study: {len(runs)} runs are too many; allowed: 1 to {most}")


def delete_study(name: str, actor: str, *, leave_files: bool = False) -> str:
    """Delete every run of a study with everything that it recorded.

    A run that another study shares stays, as that one's own.

    Raises:
        UserError: A run of it has not ended; nothing was deleted.
    """
    reconcile.end_lost(open_database())
    with open_database().write() as session:
        runs, left = studies.give_up(session, name)
        active = sum(status in ACTIVE for _, status in runs)
        if active:  # and nothing of this is kept
            raise UserError(f"{active} runs of it have not ended; `caat study pause` them first")
    for run_id, _ in runs:
        commands.delete(run_id, actor, leave_files=leave_files)
    stay = f", {left} left to studies that share them" if left else ""
    return f"{len(runs)} deleted{stay}"


def stop_study(name: str, actor: str) -> str:
    """Ask every run that a study launched and that has not ended to stop, and say what follows.

    What it shares of others goes on: those want it.
    """
    reconcile.end_lost(open_database())
    waiting = _with_status(name, STOPPABLE)
    own = [run.id for run in waiting if run.study == searchable(name)]
    told = []
    for run_id in own:
        with open_database().write() as session:
            told.append(transitions.request_stop(session, run_id, actor))
    stopping, cancelled = told.count(RunStatus.STOPPING), told.count(RunStatus.CANCELLED)
    others = len(waiting) - len(own)
    go_on = f"; {others} that others launched go on" if others else ""
    if not stopping and not cancelled:
        return f"Nothing to stop: no run of it waits or trains{go_on}"
    return (
        f"{stopping} stopping at the next step, {cancelled} cancelled before a start; what was "
        f"recorded stays{go_on}"
    )


def resume_study(name: str, actor: str) -> str:
    """Queue every run of a study again that failed, was stopped or was interrupted."""
    reconcile.end_lost(open_database())
    queued = 0
    for run in _with_status(name, RESUMABLE):
        with open_database().write() as session:
            queued += transitions.requeue(session, run.id, actor, reason=USER)
    if not queued:
        return "Nothing to resume: no run of it was stopped or failed"
    sent = send_messages(open_database())
    later = "" if sent else "; the broker is unreachable, they start by themselves"
    return f"{queued} queued again{later}"


def _with_status(name: str, statuses: tuple[RunStatus, ...]) -> list[RunRow]:
    """Return a study's runs that stand there, the newest first: it starts last."""
    with open_database().read() as session:
        runs = studies.runs_of(session, name, MAX_RUNS)
    return [run for run in runs if run.status in statuses]
