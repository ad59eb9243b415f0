"""The tables of what runs recorded: metrics, samples, evaluations and checkpoints."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.model_base import Base
from db.types import db_now

_CLUSTERED = {"sqlite_with_rowid": False}
"""SQLite keeps the rows of one run, split and name together, and their long key only once."""


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
    """assignment (every training sample), gallery (some samples with their images), samples (epoch
    0: who the training samples are), or part (what a job has found so far; its epoch counts)"""
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
