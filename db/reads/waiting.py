"""Why a run waits, in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from db.models import Run, RunStatus
from db.reads import queries
from db.reads.placement import parted
from db.reads.rows import LIVE_SECONDS, WorkerRow


@dataclass(frozen=True)
class Wait:
    """What a queued run waits for; a number is None where nothing is known of it.

    Attributes:
        queue, memory_needed: What it asks for.
        live: Workers that are there and know the tables.
        serving: Those of them that serve its queue.
        able: Those of them that have the memory.
        free: Those of them that do nothing.
        ahead: Runs in its queue that are taken first.
        most_memory: Bytes of the largest that serves its queue.
    """

    queue: str
    memory_needed: int | None
    live: int
    serving: int
    able: int
    free: int
    ahead: int
    most_memory: int | None


def wait_of(session: Session, run_id: str) -> Wait | None:
    """Return what a queued run waits for, or nothing: it does not wait."""
    columns = (Run.queue, Run.memory_needed, Run.priority, Run.queued_at)
    mine = (Run.id == run_id, Run.status == RunStatus.QUEUED)
    run = session.execute(select(*columns).where(*mine)).first()
    if run is None:
        return None
    before = or_(
        Run.priority > run.priority,
        and_(Run.priority == run.priority, Run.queued_at < run.queued_at),
    )
    counted = select(func.count()).where(Run.status == RunStatus.QUEUED, Run.queue == run.queue)
    ahead = session.execute(counted.where(before)).scalar_one()
    workers = queries.workers(session, there=True, within=LIVE_SECONDS)
    return waits_for(run.queue, run.memory_needed, workers, ahead=ahead)


def waits_for(
    queue: str, memory_needed: int | None, workers: Sequence[WorkerRow], *, ahead: int
) -> Wait:
    """Return what a run waits for that asks for a queue and memory, of workers as they are."""
    ready = [worker for worker in workers if worker.is_ready]
    serving = [worker for worker in ready if queue in parted(worker.queues)]
    known = [worker.memory_total for worker in serving if worker.memory_total is not None]
    able = [
        worker
        for worker in serving
        if worker.memory_total is None or worker.memory_total >= (memory_needed or 0)
    ]
    return Wait(
        queue,
        memory_needed,
        live=len(ready),
        serving=len(serving),
        able=len(able),
        free=sum(worker.state == "idle" for worker in able),
        ahead=ahead,
        most_memory=max(known, default=None),
    )
