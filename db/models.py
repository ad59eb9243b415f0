"""The tables."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import uuid4

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Double,
    Enum,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.status import ACTIVE as ACTIVE
from db.status import DRAIN as DRAIN
from db.status import ENDED as ENDED
from db.status import HELD as HELD
from db.status import RESUMABLE as RESUMABLE
from db.status import STOPPABLE as STOPPABLE
from db.status import STOPS_AS as STOPS_AS
from db.status import USER as USER
from db.status import RunStatus as RunStatus
from db.types import UtcDateTime, db_now

FINAL = "final"
"""The name of the look at the test data that ends a training."""


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    """Constraints have names of their own, so that a later migration can find them."""
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime(),
        float: Double(),
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
        RunStatus: Enum(
            RunStatus,
            values_callable=lambda kind: [status.value for status in kind],
            native_enum=False,
            create_constraint=True,
            length=16,
            name="status",
        ),
    }


_CLUSTERED = {"sqlite_with_rowid": False}
"""SQLite keeps the rows of one run, split and name together, and their long key only once."""


def new_run_id() -> str:
    """Return an id that is never used again."""
    return uuid4().hex


class Run(Base):
    """One scenario, submitted once."""

    __tablename__ = "run"
    __table_args__ = (Index(None, "status", "queued_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_run_id)
    name: Mapped[str] = mapped_column(String(200))
    status: Mapped[RunStatus] = mapped_column(default=RunStatus.QUEUED)
    reason: Mapped[str | None] = mapped_column(String(32))
    """Why it stands where it stands: drain, lost, diverged, error, user ..."""
    message: Mapped[str | None] = mapped_column(Text)
    """The same in one sentence for a person."""
    scenario: Mapped[dict[str, Any]]
    scenario_digest: Mapped[str] = mapped_column(String(64), index=True)
    method: Mapped[str] = mapped_column(String(64))
    dataset: Mapped[str] = mapped_column(String(64))
    seed: Mapped[int] = mapped_column(BigInteger)
    study: Mapped[str | None] = mapped_column(String(200), index=True)
    """Name that runs launched together share."""
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


class Metric(Base):
    """One value of a whole split or of the training itself, at one step."""

    __tablename__ = "metric"
    __table_args__ = _CLUSTERED

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    split: Mapped[str] = mapped_column(String(16), primary_key=True)
    """train, validation, test"""
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    """Optimiser steps taken since the run began."""
    epoch: Mapped[int]
    attempt: Mapped[int]
    value: Mapped[float | None]
    """None where the value is not a finite number."""


class ClassMetric(Base):
    """One value of one class of a split after one epoch; errors are shares of the class's n."""

    __tablename__ = "class_metric"
    __table_args__ = _CLUSTERED

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    split: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    class_index: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    value: Mapped[float | None]
    n: Mapped[int]
    """Samples of the class that the value counts over."""


class ClassSummary(Base):
    """The distribution, over one class, of one quantity that the method gave each sample."""

    __tablename__ = "class_summary"

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    quantity: Mapped[str] = mapped_column(String(32), primary_key=True)
    """clean_weight, adversary_weight, anti_adversary_weight, bound, or a characteristic"""
    label_group: Mapped[str] = mapped_column(String(8), primary_key=True)
    """all, clean (given label = true label) or flipped"""
    class_index: Mapped[int] = mapped_column(primary_key=True)
    """Class of the given label."""
    attempt: Mapped[int]
    n: Mapped[int]
    mean: Mapped[float | None]
    """None, like the quantiles, where it is not a finite number."""
    q05: Mapped[float | None]
    q25: Mapped[float | None]
    median: Mapped[float | None]
    q75: Mapped[float | None]
    q95: Mapped[float | None]
    quantiles: Mapped[list[Any]]
    """Equally spaced quantiles from minimum to maximum, for distribution charts."""


class Snapshot(Base):
    """Per-sample arrays of one run and epoch, as one columnar blob."""

    __tablename__ = "snapshot"

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    """assignment (every training sample), gallery (some samples with their images), or samples
    (epoch 0: who the training samples are)"""
    attempt: Mapped[int]
    num_rows: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)


class Evaluation(Base):
    """One look at the test data under one protocol: what was said of each image, no averages."""

    __tablename__ = "evaluation"

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    """``final`` at the end of training, else the protocol in words; done again, it is replaced."""
    kind: Mapped[str] = mapped_column(String(16))
    """attack, curve or masking"""
    attempt: Mapped[int]
    """Whose model it was."""
    n: Mapped[int]
    """Images looked at."""
    card: Mapped[dict[str, Any]]
    findings: Mapped[dict[str, Any] | None]
    """What a curve or the masking checks found; an attack has none."""
    outcomes: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    """Of an attack: sample, label, clean and attacked prediction, as a Parquet file."""
    created_at: Mapped[datetime] = mapped_column(server_default=db_now())


class Checkpoint(Base):
    """One file of model and optimiser, under the data directory."""

    __tablename__ = "checkpoint"

    run_id: Mapped[str] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    path: Mapped[str] = mapped_column(Text)
    """Relative to the data directory."""
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(server_default=db_now())


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
    started_at: Mapped[datetime] = mapped_column(server_default=db_now())
    last_seen: Mapped[datetime] = mapped_column(server_default=db_now())
