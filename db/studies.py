"""Studies: runs that share a name, launched together or taken from one another."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Select,
    delete,
    func,
    insert,
    select,
    union,
    update,
)
from sqlalchemy.orm import Session

from db.models import ACTIVE, Run, RunStatus, StudyCell
from db.portable import searchable, tidy_text
from db.reads import queries
from db.reads.comparison import CellNames
from db.reads.rows import RunRow
from db.writes.transitions import NewRun, create_run

NAME_LENGTH = 200
_FEW = 1000
"""Fingerprints that one statement asks for; of more, all runs are read."""
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


@dataclass(frozen=True)
class Cell:
    """A run that a study wants, and what its file calls it.

    Attributes:
        plugins: Versions of the distributions that it is trained with besides ours; what other ones
            trained is not shared.
    """

    run: NewRun
    scenario: str = ""
    method: str = ""
    family: str = ""
    place: int = 0
    """In the file."""
    plugins: Mapping[str, str] = field(default_factory=dict)


class Found(StrEnum):
    """Where the run of a cell comes from."""

    THERE = "there"
    """The study has it."""
    SHARED = "shared"
    """Another study has it, or it was launched alone."""
    NEW = "new"
    """It has to be queued."""


def runs_of(session: Session, name: str, limit: int) -> list[RunRow]:
    """Return the runs of a study, newest first."""
    return queries.list_runs(session, limit, where=[queries.of_study(name)])


def cells_of(session: Session, name: str) -> dict[str, CellNames]:
    """Return what a study's file calls its runs, by their ids; those without a file have none."""
    columns = (StudyCell.scenario, StudyCell.method, StudyCell.family, StudyCell.place)
    stored = select(StudyCell.run_id, *columns).where(StudyCell.study == searchable(name))
    return {
        run_id: CellNames(scenario, method, family, place)
        for run_id, scenario, method, family, place in session.execute(stored)
    }


def statuses_of(session: Session, run_ids: Collection[str]) -> dict[str, RunStatus]:
    """Return where runs stand, by their ids; one that is gone is missing."""
    stored = select(Run.id, Run.status).where(Run.id.in_(run_ids))
    return {row.id: row.status for row in session.execute(stored)}


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
    session: Session, name: str, cells: Sequence[Cell], *, numerics: int, actor: str
) -> list[tuple[Found, str]]:
    """Give a study of this very name the runs that it lacks: each with where it comes from.

    A run of equal scenario and equal data that has succeeded, waits or trains elsewhere is shared
    by both; a failed one of its own stays for `tasks.study.resume_study`.

    Args:
        session: A writing one.
        name: Of the study.
        cells: What it shall have.
        numerics: `engine.scenario.NUMERICS`; what another number trained is not shared.
        actor: Who asks.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    made = []
    for cell, (found, known) in zip(
        cells, look_up(session, name, cells, numerics=numerics), strict=True
    ):
        run_id = known or create_run(session, replace(cell.run, study=name), actor)[0]
        made.append((found, run_id))
        if found is not Found.THERE:
            said = {
                key: value for key, value in vars(cell).items() if key not in ("run", "plugins")
            }
            session.execute(insert(StudyCell).values(study=name, run_id=run_id, **said))
    return made


def look_up(
    session: Session, name: str, cells: Sequence[Cell], *, numerics: int
) -> list[tuple[Found, str | None]]:
    """Tell of each cell where its run comes from, and its id; a new one has none."""
    own = {
        row.scenario_digest: row.id
        for row in session.execute(_there().where(queries.of_study(name)))
    }
    wanted = {cell.run.scenario_digest for cell in cells} - set(own)
    plugins = {cell.run.scenario_digest: dict(cell.plugins) for cell in cells}
    others: dict[tuple[str, str | None], str] = {}
    for row in session.execute(_shareable(wanted)):
        by_same = (row.plugins or {}) == plugins.get(row.scenario_digest)
        same = row.numerics == numerics and by_same
        if same or row.facts_unknown:
            others[row.scenario_digest, row.data_digest] = row.id
    return [_origin(cell.run, own, others) for cell in cells]


def _origin(
    run: NewRun, own: Mapping[str, str], others: Mapping[tuple[str, str | None], str]
) -> tuple[Found, str | None]:
    if run.scenario_digest in own:
        return Found.THERE, own[run.scenario_digest]
    shared = others.get((run.scenario_digest, run.data_digest))
    return (Found.NEW, None) if shared is None else (Found.SHARED, shared)


def _there() -> Select[str, str, str | None]:
    """Select the trained runs; what is being deleted is not there."""
    columns = (Run.id, Run.scenario_digest, Run.data_digest)
    return select(*columns).where(Run.status != RunStatus.DELETING, Run.subject_id.is_(None))


def _shareable(digests: Collection[str]) -> Select[*tuple[Any, ...]]:
    """Select what may be taken from elsewhere, the best last: what succeeded, then the newest."""
    known = (
        Run.facts["numerics"].label("numerics"),
        Run.facts["plugins"].label("plugins"),
        Run.facts.is_(None).label("facts_unknown"),
    )
    at_work = (RunStatus.SUCCEEDED, RunStatus.RUNNING, RunStatus.QUEUED)
    found = _there().add_columns(*known).where(Run.status.in_(at_work))
    if len(digests) <= _FEW:
        found = found.where(Run.scenario_digest.in_(digests))
    return found.order_by(Run.status == RunStatus.SUCCEEDED, Run.created_at, Run.id)


def share(session: Session, name: str, run_ids: Sequence[str]) -> int:
    """Have a study share trained runs that it has not yet; return how many became its own so."""
    study = searchable(name)
    its_own = select(Run.id).where(queries.of_study(name))
    wanted = select(Run.id, Run.method).where(
        Run.id.in_(run_ids),
        Run.subject_id.is_(None),
        Run.status != RunStatus.DELETING,
        Run.id.not_in(its_own),
    )
    found = session.execute(wanted).all()
    for run_id, method in found:
        cell = {"study": study, "run_id": run_id, "method": method, "family": method}
        session.execute(insert(StudyCell).values(**cell))
    return len(found)


def give_up(session: Session, name: str) -> tuple[list[tuple[str, RunStatus]], int]:
    """Take every run from a study.

    Returns:
        What no other study shares, with how it stands; and how many runs that it launched are from
        now on those of a study that shares them.
    """
    name = searchable(name)
    others = select(StudyCell.run_id, func.min(StudyCell.study).label("study")).where(
        StudyCell.study != name, StudyCell.run_id.in_(select(Run.id).where(Run.study == name))
    )
    heirs = session.execute(others.group_by(StudyCell.run_id)).all()
    for run_id, heir in heirs:
        session.execute(update(Run).where(Run.id == run_id).values(study=heir))
    session.execute(delete(StudyCell).where(StudyCell.study == name))
    own = _there().add_columns(Run.status).where(Run.study == name)
    return [(row.id, row.status) for row in session.execute(own)], len(heirs)


def _free_name(session: Session, wanted: str) -> str:
    wanted = wanted[: NAME_LENGTH - 8]
    alike = (
        select(column).where(column.startswith(wanted, autoescape=True))
        for column in (Run.study, StudyCell.study)
    )
    taken = set(session.execute(union(*alike)).scalars())
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted} {number}"
    return name


def studies(session: Session, limit: int = 500) -> list[StudyRow]:
    """Return the studies, the one that changed last first, in one statement."""
    changed = func.max(func.coalesce(Run.ended_at, Run.started_at, Run.queued_at)).label("at")
    sums = (func.count(), func.sum(Run.epoch), func.sum(Run.num_epochs), changed)
    own = select(Run.study.label("study"), Run.id.label("id")).where(Run.study.is_not(None))
    members = union(own, select(StudyCell.study, StudyCell.run_id)).subquery()
    there = (
        select(members.c.study, Run.status, *sums)
        .join(members, members.c.id == Run.id)
        .where(Run.status != RunStatus.DELETING, Run.subject_id.is_(None))
    )
    newest = there.group_by(members.c.study, Run.status).order_by(changed.desc())
    found: dict[str, StudyRow] = {}
    for name, status, n, epochs, num_epochs, at in session.execute(newest):
        row = found.setdefault(name, StudyRow(name, at))
        row.statuses[status] = n
        row.epochs += num_epochs if status is RunStatus.SUCCEEDED else epochs
        row.num_epochs += num_epochs
    return list(found.values())[:limit]
