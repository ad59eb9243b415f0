"""Studies: runs that were launched together and share a name."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models import ACTIVE, TRAINING, Run, RunStatus
from db.portable import searchable, tidy_text
from db.reads import queries
from db.reads.rows import RunRow
from db.writes.transitions import NewRun, create_run

NAME_LENGTH = 200
_LOCK = 0x5EED
"""Whoever chooses a study's name on PostgreSQL holds this; on SQLite a writer is alone anyway."""


@dataclass(frozen=True)
class CreatedStudy:
    """What a submission led to; ``created`` is False if its keys had runs already."""

    name: str
    run_ids: list[str]
    created: bool


@dataclass
class StudyRow:
    """One line of the list of studies."""

    name: str
    changed_at: datetime
    statuses: dict[RunStatus, int] = field(default_factory=dict)
    epochs: int = 0
    """Epochs done, over all runs; one that succeeded early needs no more."""
    num_epochs: int = 0

    @property
    def total(self) -> int:
        return sum(self.statuses.values())

    @property
    def is_active(self) -> bool:
        """Whether a run of it can still change by itself."""
        return any(status in ACTIVE for status in self.statuses)

    @property
    def progress(self) -> float:
        """Share of its epochs done."""
        return self.epochs / self.num_epochs


def runs_of(session: Session, name: str, limit: int) -> list[RunRow]:
    """Return the runs of a study, newest first."""
    return queries.list_runs(session, limit, where=[Run.study == searchable(name)])


def create_study(
    session: Session, name: str, runs: Sequence[NewRun], *, actor: str
) -> CreatedStudy:
    """Queue runs under one name, with a number after it if another study has it.

    Runs whose idempotency keys are known already are returned as they were stored.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    keys = [run.idempotency_key for run in runs if run.idempotency_key is not None]
    known = select(Run.study, Run.id).where(Run.idempotency_key.in_(keys))
    found = session.execute(known.order_by(Run.idempotency_key)).all()
    if found:
        return CreatedStudy(found[0].study or name, [row.id for row in found], created=False)
    free = _free_name(session, tidy_text(name) or "Study")
    made = [create_run(session, replace(run, study=free), actor) for run in runs]
    return CreatedStudy(free, [run_id for run_id, _ in made], created=True)


def extend_study(
    session: Session, name: str, runs: Sequence[NewRun], *, actor: str
) -> list[str | None]:
    """Queue those runs whose scenario the study of this very name does not have yet.

    Returns the id of each that was made, in their order; None for one that is there already, in
    whatever state: a failed one is for `tasks.study.resume_study`.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    there = digests_of(session, name)
    return [
        None
        if run.scenario_digest in there
        else create_run(session, replace(run, study=name), actor)[0]
        for run in runs
    ]


def digests_of(session: Session, name: str) -> set[str]:
    """Return the fingerprints of the scenarios of a study's runs."""
    stored = select(Run.scenario_digest).where(
        Run.study == searchable(name), Run.status != RunStatus.DELETING, Run.kind == TRAINING
    )
    return set(session.execute(stored).scalars())


def _free_name(session: Session, wanted: str) -> str:
    wanted = wanted[: NAME_LENGTH - 8]
    alike = select(Run.study).where(Run.study.startswith(wanted, autoescape=True)).distinct()
    taken = set(session.execute(alike).scalars())
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted} {number}"
    return name


def studies(session: Session, limit: int = 500) -> list[StudyRow]:
    """Return the studies, the one that changed last first, in one statement."""
    changed = func.max(func.coalesce(Run.ended_at, Run.started_at, Run.queued_at)).label("at")
    sums = (func.count(), func.sum(Run.epoch), func.sum(Run.num_epochs), changed)
    there = select(func.coalesce(Run.study, ""), Run.status, *sums).where(
        Run.study.is_not(None), Run.status != RunStatus.DELETING, Run.kind == TRAINING
    )
    newest = there.group_by(Run.study, Run.status).order_by(changed.desc())
    found: dict[str, StudyRow] = {}
    for name, status, n, epochs, num_epochs, at in session.execute(newest):
        row = found.setdefault(name, StudyRow(name, at))
        row.statuses[status] = n
        row.epochs += num_epochs if status is RunStatus.SUCCEEDED else epochs
        row.num_epochs += num_epochs
    return list(found.values())[:limit]
