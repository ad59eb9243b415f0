"""The workers, as they last said of themselves."""

from dataclasses import dataclass

from sqlalchemy import update
from sqlalchemy.orm import Session

from db.migrate import head_revision
from db.models import Worker
from db.portable import dialect_insert
from db.types import db_now
from db.writes.state_machine import NO_SYNC


@dataclass(frozen=True)
class WorkerReport:
    """What a worker says of itself."""

    id: str
    host: str
    pid: int
    device: str
    device_name: str
    version: str
    state: str = "idle"
    run_id: str | None = None
    queues: str = ""
    """As `db.reads.placement.joined` writes them, like the datasets."""
    datasets: str = ""
    memory_total: int | None = None
    memory_used: int | None = None
    utilisation: float | None = None


def upsert_worker(session: Session, worker: WorkerReport) -> None:
    """Note that a worker is there, what it does, and which revision of the tables it knows.

    A worker that is older than the tables says so here, and nowhere else: later revisions leave
    room for this statement.
    """
    values = {name: getattr(worker, name) for name in WorkerReport.__dataclass_fields__}
    values |= {"revision": head_revision(), "last_seen": db_now()}
    changed = {name: value for name, value in values.items() if name != "id"}
    statement = dialect_insert(session, Worker).values(**values)
    session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed))


def too_old(host: str, known: str, revision: str) -> str:
    """Say that a worker's program does not know the tables' revision."""
    return (
        f"worker on host {host} is older than the database (rev {known} < {revision}): upgrade it"
    )


def worker_stopped(session: Session, worker_id: str) -> None:
    """Note that a worker ended in good order."""
    gone = {"state": "stopped", "run_id": None, "last_seen": db_now()}
    statement = update(Worker).where(Worker.id == worker_id).values(**gone)
    session.execute(statement, execution_options=NO_SYNC)
