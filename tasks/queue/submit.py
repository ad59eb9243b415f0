"""From a scenario to a queued run: check, commit, then send its message."""

from dataclasses import dataclass, replace

import redis.exceptions
from sqlalchemy.orm import Session

from db.models import RunStatus
from db.reads import placement, queries
from db.reads.placement import Ticket
from db.session import Database
from db.writes import transitions
from db.writes.transitions import NewRun
from engine.data.fingerprint import fingerprint
from engine.data.preparation import require_every_label
from engine.errors import UserError
from engine.names import require_name
from engine.scenario import Scenario
from tasks.queue import messages
from tasks.queue.message import task_id
from tasks.queue.messages import Waiting
from tasks.queue.place import ANYWHERE, Place, owner
from tasks.settings import open_database, settings

NOT_SENT = "Queued \u2013 broker unreachable, will start by itself"
"""What is said of a run whose message could not be sent."""


@dataclass(frozen=True)
class Submitted:
    """A run that is stored.

    Attributes:
        run_id: Its id.
        created: False if the idempotency key had a run already.
        sent: False if the broker did not answer; a worker then finds the run in the database.
    """

    run_id: str
    created: bool
    sent: bool


def submit(
    scenario: Scenario,
    *,
    actor: str,
    study: str | None = None,
    place: Place = ANYWHERE,
    idempotency_key: str | None = None,
) -> Submitted:
    """Store a run as queued and tell the workers.

    Raises:
        UserError: The dataset is missing, or the queue is unknown; nothing was stored.
        DatabaseError: The database did not answer; nothing was stored.
    """
    database = open_database()
    place.require_known(database)
    run = new_run(scenario, study=study, place=place, idempotency_key=idempotency_key)
    with database.write() as session:
        run_id, created = transitions.create_run(session, run, actor)
    return Submitted(run_id, created, sent=send_messages(database))


def new_run(
    scenario: Scenario,
    *,
    study: str | None = None,
    place: Place = ANYWHERE,
    idempotency_key: str | None = None,
) -> NewRun:
    """Return the row of a scenario, once its dataset is known to be there.

    Raises:
        UserError: The dataset is missing and cannot be fetched, no image would have some label,
            a name cannot be shown, or the weights to start from cannot be used.
    """
    require_names(scenario.name, study)
    source, folder = scenario.data.source, settings().dataset_dir
    source.ensure(folder)
    scenario = as_stored(scenario)
    if not scenario.training.with_meta:  # then each class has its meta images at least
        require_every_label(scenario.data, scenario.seed, folder)
    return replace(
        row_of(scenario, study),
        data_digest=fingerprint(source, folder),
        idempotency_key=idempotency_key,
        owner=owner(),
        **vars(place),
    )


def as_stored(scenario: Scenario) -> Scenario:
    """Return what a row has of a scenario: its start weights are kept here, by what they hold.

    Raises:
        UserError: The weights to start from cannot be used.
    """
    if scenario.training.start_from is None:
        return scenario
    from tasks.results.start_weights import with_kept_weights  # it loads torch

    return with_kept_weights(scenario)


def row_of(scenario: Scenario, study: str | None = None) -> NewRun:
    """Return what of a scenario alone stands in its row, whether or not its dataset is there."""
    return NewRun(
        name=scenario.name,
        scenario=scenario.as_json(),
        scenario_digest=scenario.digest(),
        method=scenario.method.label,
        dataset=scenario.data.dataset,
        seed=scenario.seed,
        num_epochs=scenario.training.epochs,
        study=study,
    )


def require_names(name: str, study: str | None) -> None:
    for what, text in (("name", name), ("study", study or "")):
        try:
            require_name(text)
        except ValueError as error:
            raise UserError(f"{what}: {error}") from None


def send_messages(database: Database) -> bool:
    """Send the message of each queued run whose turn it is; return whether the broker answered.

    A message that still waits is not sent again, and one whose run does not wait is taken away.
    """
    with database.write() as session:
        due = transitions.take_unsent(session, settings().resend_after_seconds)
        waiting = _waiting(session, due)
        numbers = {queue.name: queue.waiting for queue in placement.queues(session)}
    try:
        messages.send(waiting)
        messages.remove_surplus(numbers, lambda: _all_waiting(database))
    except (redis.exceptions.RedisError, OSError):
        return False  # sent again by a later sweep
    return True


def _all_waiting(database: Database) -> list[Waiting]:
    with database.read() as session:
        return _waiting(session, queries.runs_with_status(session, RunStatus.QUEUED))


def _waiting(session: Session, run_ids: list[str]) -> list[Waiting]:
    return [waiting_of(ticket) for ticket in placement.tickets(session, run_ids)]


def waiting_of(ticket: Ticket) -> Waiting:
    """Return what a run's place is at the broker."""
    return Waiting(task_id(ticket.run_id, ticket.times_queued), ticket.queue)
