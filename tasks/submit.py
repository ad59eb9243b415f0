"""From a scenario to a queued run: check, commit, then ring."""

from dataclasses import dataclass

import kombu.exceptions
import redis.exceptions

from db import transitions
from db.session import Database
from db.transitions import NewRun
from engine.dataset import require_every_label
from engine.errors import UserError
from engine.fingerprint import fingerprint
from engine.names import require_name
from engine.scenario import Scenario
from tasks.celery_app import celery_app
from tasks.settings import open_database, settings

TASK = "tasks.train.train_run"
UNHEARD = "Queued \u2013 broker unreachable, will start by itself"
"""What is said of a run whose bell could not be rung."""


@dataclass(frozen=True)
class Submitted:
    """A run that is stored.

    Attributes:
        run_id: Its id.
        created: False if the idempotency key had a run already.
        rung: False if the broker did not answer; a worker then finds the run in the database.
    """

    run_id: str
    created: bool
    rung: bool


def submit(
    scenario: Scenario,
    *,
    actor: str,
    study: str | None = None,
    idempotency_key: str | None = None,
) -> Submitted:
    """Store a run as queued and tell the workers.

    Raises:
        UserError: The dataset is missing; nothing was stored.
        DatabaseError: The database did not answer; nothing was stored.
    """
    database = open_database()
    run = new_run(scenario, study=study, idempotency_key=idempotency_key)
    with database.write() as session:
        run_id, created = transitions.create_run(session, run, actor)
    return Submitted(run_id, created, rung=ring(database))


def new_run(
    scenario: Scenario, *, study: str | None = None, idempotency_key: str | None = None
) -> NewRun:
    """Return the row of a scenario, once its dataset is known to be there.

    Raises:
        UserError: The dataset is missing and cannot be fetched, no image would have some label, or
            a name cannot be shown.
    """
    _require_names(scenario.name, study)
    source, folder = scenario.data.source, settings().dataset_dir
    source.ensure(folder)
    require_every_label(scenario.data, scenario.seed, folder)
    return NewRun(
        name=scenario.name,
        scenario=scenario.as_json(),
        scenario_digest=scenario.digest(),
        method=scenario.method.label,
        dataset=scenario.data.dataset,
        seed=scenario.seed,
        num_epochs=scenario.training.epochs,
        study=study,
        data_digest=fingerprint(source, folder),
        idempotency_key=idempotency_key,
    )


def _require_names(name: str, study: str | None) -> None:
    for what, text in (("name", name), ("study", study or "")):
        try:
            require_name(text)
        except ValueError as error:
            raise UserError(f"{what}: {error}") from None


def ring(database: Database) -> bool:
    """Send the bell of every queued run whose bell is due; return whether the broker answered."""
    with database.write() as session:
        due = transitions.take_unrung(session, settings().ring_again_seconds)
    try:
        for run_id in due:
            celery_app.send_task(TASK, args=[run_id], queue="caat", retry=False)
    except (kombu.exceptions.OperationalError, redis.exceptions.RedisError, OSError):
        return False  # rung again by the next sweep
    return True
