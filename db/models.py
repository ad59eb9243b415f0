"""The tables: runs and who works on them here, what they recorded in `db.recorded`."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.model_base import AUDIT as AUDIT
from db.model_base import DEFAULT_QUEUE as DEFAULT_QUEUE
from db.model_base import EVALUATION as EVALUATION
from db.model_base import EXPORT as EXPORT
from db.model_base import FINAL as FINAL
from db.model_base import IMPORT as IMPORT
from db.model_base import NORMAL_PRIORITY as NORMAL_PRIORITY
from db.model_base import TRAINING as TRAINING
from db.model_base import Base as Base
from db.model_base import new_run_id as new_run_id
from db.recorded import Checkpoint as Checkpoint
from db.recorded import ClassMetric as ClassMetric
from db.recorded import ClassSummary as ClassSummary
from db.recorded import Evaluation as Evaluation
from db.recorded import Metric as Metric
from db.recorded import Snapshot as Snapshot
from db.status import ACTIVE as ACTIVE
from db.status import DRAIN as DRAIN
from db.status import ENDED as ENDED
from db.status import HELD as HELD
from db.status import RESUMABLE as RESUMABLE
from db.status import STOPPABLE as STOPPABLE
from db.status import STOPS_AS as STOPS_AS
from db.status import USER as USER
from db.status import RunStatus as RunStatus
from db.types import db_now


class Run(Base):
    """One scenario, submitted once."""

    __tablename__ = "run"
    __table_args__ = (
        Index(None, "status", "queued_at"),
        Index(None, "status", "owner", "priority", "queued_at"),
        Index(None, "owner", "started_at"),
        # The list counts, filters and orders all runs without reading their rows.
        Index(None, "kind", "status", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_run_id)
    kind: Mapped[str] = mapped_column(String(16), default=TRAINING, server_default=TRAINING)
    """training, audit or import; or a job about one of these, its subject: evaluation, export."""
    subject_id: Mapped[str | None] = mapped_column(String(32), index=True)
    """The run that such a job is about; it is deleted after its jobs."""
    request: Mapped[dict[str, Any] | None]
    """What such a job was asked for."""
    name: Mapped[str] = mapped_column(String(200))
    status: Mapped[RunStatus] = mapped_column(default=RunStatus.QUEUED)
    reason: Mapped[str | None] = mapped_column(String(32))
    """Why it stands where it stands: drain, lost, diverged, error, user ..."""
    message: Mapped[str | None] = mapped_column(Text)
    """The same in one sentence for a person."""
    notes: Mapped[str] = mapped_column(Text, default="", server_default="")
    """What people wrote about it, as Markdown."""
    scenario: Mapped[dict[str, Any]]
    scenario_digest: Mapped[str] = mapped_column(String(64), index=True)
    method: Mapped[str] = mapped_column(String(64))
    dataset: Mapped[str] = mapped_column(String(64))
    seed: Mapped[int] = mapped_column(BigInteger)
    study: Mapped[str | None] = mapped_column(String(200), index=True)
    """The study that launched it: it stops and goes with that one."""
    queue: Mapped[str] = mapped_column(
        String(40), default=DEFAULT_QUEUE, server_default=DEFAULT_QUEUE
    )
    """Only workers that serve it take the run."""
    priority: Mapped[int] = mapped_column(default=NORMAL_PRIORITY, server_default="5")
    """0 to 9; of what waits the highest is taken first."""
    owner: Mapped[str] = mapped_column(String(100), default="", server_default="")
    """Whose it is; of equal priority whoever has the fewest runs at work is next."""
    memory_needed: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes that a worker's device must have."""
    data_digest: Mapped[str | None] = mapped_column(String(64))
    """Fingerprint of the dataset at launch; a trainer refuses another."""
    idempotency_key: Mapped[str | None] = mapped_column(String(64), unique=True)
    attempt: Mapped[int] = mapped_column(default=0)
    """Fencing token: raised by every claim; a writer with an older number is refused."""
    infra_attempts: Mapped[int] = mapped_column(default=0)
    """Attempts lost in a row without a finished epoch; after some the run is not retried."""
    min_worker_rev: Mapped[str] = mapped_column(String(32), default="")
    epoch: Mapped[int] = mapped_column(default=0)
    """Epochs finished and recorded."""
    num_epochs: Mapped[int]
    facts: Mapped[dict[str, Any] | None]
    """What the trainer measured at its start: class names and counts, data digest, device,
    threads, versions, parameters."""
    evaluation_card: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=db_now(), index=True)
    queued_at: Mapped[datetime] = mapped_column(server_default=db_now())
    sent_at: Mapped[datetime | None]
    """When its message was last sent to the broker."""
    times_queued: Mapped[int] = mapped_column(default=1, server_default="1")
    """How many times it was queued; with its id it is the id of its task at the broker."""
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class RunTag(Base):
    """A word by which people find a run again."""

    __tablename__ = "run_tag"

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(60), primary_key=True, index=True)


class SavedView(Base):
    """A name for what the link of the list of runs says: filters, order, columns."""

    __tablename__ = "saved_view"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    query: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=db_now())


class StudyCell(Base):
    """What a study calls one of its runs, which it or another study launched."""

    __tablename__ = "study_cell"

    study: Mapped[str] = mapped_column(String(200), primary_key=True)
    run_id: Mapped[str] = mapped_column(
        ForeignKey("run.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    scenario: Mapped[str] = mapped_column(String(200), default="")
    """As its file calls the scenario; empty where it has but one."""
    method: Mapped[str] = mapped_column(String(200), default="")
    """As its file calls the method, with the point of a sweep."""
    family: Mapped[str] = mapped_column(String(200), default="")
    """As its file calls the method alone."""
    place: Mapped[int] = mapped_column(default=0)
    """In its file: what stands there first comes first."""


class Attempt(Base):
    """One worker's hold on one run, alive while its lease is."""

    __tablename__ = "attempt"

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    worker_id: Mapped[str] = mapped_column(String(100))
    host: Mapped[str] = mapped_column(String(255))
    boot_id: Mapped[str] = mapped_column(String(64))
    lock_domain: Mapped[str] = mapped_column(String(80), server_default="")
    """Where the kernel's lock says whether its worker lives; empty before 0005."""
    data_dir: Mapped[str] = mapped_column(Text, server_default="")
    """Folder of its files, on its host; empty before 0005."""
    pid: Mapped[int]
    device: Mapped[str] = mapped_column(String(32))
    lease_until: Mapped[datetime]
    lease_seconds: Mapped[float] = mapped_column(server_default="60")
    """How long it may say nothing."""
    epoch: Mapped[int] = mapped_column(default=0)
    """Epoch in work, counted from 1."""
    step: Mapped[int] = mapped_column(default=0)
    num_steps: Mapped[int] = mapped_column(default=0)
    """Steps of an epoch."""
    phase: Mapped[str] = mapped_column(String(32), default="starting")
    """starting, training, validating, testing"""
    progress_at: Mapped[datetime | None]
    """When its trainer last got on; the lease is renewed by its supervisor, who may live longer."""
    started_at: Mapped[datetime] = mapped_column(server_default=db_now())
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(32))


class RunEvent(Base):
    """Every change of a run's status, written in the transaction that made it.

    A remark, which changes none, leads from the status to itself.
    """

    __tablename__ = "run_event"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), index=True)
    attempt: Mapped[int]
    from_status: Mapped[str | None] = mapped_column(String(16))
    to_status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(32))
    message: Mapped[str | None] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime] = mapped_column(server_default=db_now())


class Worker(Base):
    """A worker process, as it last said of itself."""

    __tablename__ = "worker"
    __table_args__ = (CheckConstraint("state IN ('idle', 'busy', 'stopped')", name="state"),)

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    device: Mapped[str] = mapped_column(String(32))
    device_name: Mapped[str] = mapped_column(String(200))
    version: Mapped[str] = mapped_column(String(32))
    revision: Mapped[str] = mapped_column(String(32), server_default="")
    """Of the tables that its program knows; empty before 0004."""
    state: Mapped[str] = mapped_column(String(16), default="idle")
    run_id: Mapped[str | None] = mapped_column(String(32))
    queues: Mapped[str] = mapped_column(Text, server_default="")
    """That it serves: ``,default,cpu,``; empty before 0008."""
    datasets: Mapped[str] = mapped_column(Text, server_default="")
    """That are on its machine, written the same way."""
    memory_total: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes, of its device."""
    memory_used: Mapped[int | None] = mapped_column(BigInteger)
    utilisation: Mapped[float | None]
    """Share of its device, 0 to 1, that was busy when it last reported."""
    started_at: Mapped[datetime] = mapped_column(server_default=db_now())
    last_seen: Mapped[datetime] = mapped_column(server_default=db_now())
