"""A run on its way out of the database: its files go first, its rows last."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from db.models import (
    ACTIVE,
    USER,
    Attempt,
    Run,
    RunStatus,
)
from db.writes.state_machine import LEGAL_EDGES, NO_SYNC, Note, change, locked_status


def start_deletion(session: Session, run_id: str, actor: str) -> bool:
    """Mark an ended run and its jobs as going; their files are deleted after this is committed.

    False, and nothing is marked, if the run has not ended or a job of it is active.
    """
    source = locked_status(session, run_id)
    if source is None or RunStatus.DELETING not in LEGAL_EDGES[source]:
        return False
    about_it = select(Run.id, Run.status).where(Run.subject_id == run_id).order_by(Run.id)
    jobs = session.execute(about_it.with_for_update()).all()
    if any(job.status in ACTIVE for job in jobs):
        return False
    stand = {job.id: job.status for job in jobs if job.status is not RunStatus.DELETING}
    for going, status in (stand | {run_id: source}).items():
        change(session, going, (status, RunStatus.DELETING), note=Note(actor, USER))
    return True


def files_deleted(session: Session, run_id: str, attempts: Sequence[int]) -> int:
    """Note that the files of some attempts of a going run are gone; return how many have some left.

    An attempt of such a run is nothing but the place of its files: it goes with them.
    """
    if locked_status(session, run_id) is not RunStatus.DELETING:
        return 0
    theirs = (Attempt.run_id == run_id, Attempt.number.in_(attempts))
    session.execute(delete(Attempt).where(*theirs), execution_options=NO_SYNC)
    left = select(func.count()).select_from(Attempt).where(Attempt.run_id == run_id)
    return session.execute(left).scalar_one()


def finish_deletion(session: Session, run_id: str) -> bool:
    """Delete the rows of a run that is marked as going, once its files are gone."""
    run = session.get(Run, run_id, with_for_update=True)
    if run is None or run.status is not RunStatus.DELETING:
        return False
    session.delete(run)
    return True
