"""What queries return: plain values, nothing that needs a session."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from db.models import ACTIVE, ENDED, RESUMABLE, STOPPABLE, TRAINING, RunStatus

LIVE_SECONDS = 30.0
"""A worker that says nothing for so long is not counted on."""
LOST = "lost"
"""Shown instead of the status of a run whose worker is gone."""


@dataclass(frozen=True)
class Holder:
    """An attempt in work: who holds a run, and what tells whether the holder still lives."""

    run_id: str
    number: int
    worker_id: str
    host: str
    boot_id: str
    lock_domain: str
    data_dir: str
    lease_until: datetime
    lease_seconds: float
    """How long it may say nothing."""
    lease_left: float
    """Seconds for which it holds the run if its worker says nothing more, by the database's
    clock."""


@dataclass(frozen=True)
class RunRow:
    """One line of the list of runs. Errors are shares of 1."""

    id: str
    name: str
    status: RunStatus
    reason: str | None
    message: str | None
    method: str
    dataset: str
    seed: int
    study: str | None
    epoch: int
    """Epochs finished and recorded."""
    num_epochs: int
    attempt: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    phase: str | None
    """Of the attempt in work, like step and num_steps; none in work: None, 0, 0."""
    step: int
    num_steps: int
    worker_id: str | None
    """Who holds the run, or held it last."""
    attempt_started_at: datetime | None
    epochs_before: int
    """Epochs that were recorded already when the attempt in work began."""
    progress: float
    """Share of the training steps done."""
    seconds_still: float | None
    """Since the attempt in work last got on, by the database's clock."""
    holder: Holder | None
    """The attempt in work."""
    natural_error: float | None
    boundary_error: float | None
    robust_error: float | None
    worst_robust_error: float | None
    worst_class: int | None
    """Index of the class with the largest robust error."""
    result_split: str | None
    """Where the errors were measured: test, validation (newest epoch), or nowhere yet."""
    kind: str = field(default=TRAINING, kw_only=True)
    subject_id: str | None = field(default=None, kw_only=True)
    """Of a job: the run that it is about."""
    request: dict[str, Any] | None = field(default=None, kw_only=True)
    """Of a job: what it is asked for."""
    notes: str = field(default="", kw_only=True)
    """What people wrote about it, as Markdown."""
    tags: tuple[str, ...] = field(default=(), kw_only=True)
    worst_natural_error: float | None = field(default=None, kw_only=True)
    worst_boundary_error: float | None = field(default=None, kw_only=True)
    is_lost: bool = field(default=False, kw_only=True)
    """Whether its worker is gone although nobody has written that down yet; the database cannot
    tell, see `tasks.worker.liveness.with_lost_marked`."""

    @property
    def shown_status(self) -> str:
        """Its status, or ``lost``: what a person is shown."""
        return LOST if self.is_lost else self.status.value

    @property
    def is_job(self) -> bool:
        """Whether it is about another run, and has no results of its own."""
        return self.subject_id is not None

    @property
    def is_active(self) -> bool:
        """Whether the run can still change by itself."""
        return self.status in ACTIVE

    @property
    def is_stoppable(self) -> bool:
        return self.status in STOPPABLE

    @property
    def is_resumable(self) -> bool:
        """Whether a person may queue it again; a lost one is first written down as interrupted."""
        return self.is_lost or self.status in RESUMABLE

    @property
    def is_deletable(self) -> bool:
        return self.status in ENDED


@dataclass(frozen=True)
class AttemptRow:
    """One worker's hold on a run."""

    number: int
    worker_id: str
    host: str
    lock_domain: str
    data_dir: str
    pid: int
    device: str
    epoch: int
    step: int
    num_steps: int
    phase: str
    lease_until: datetime
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None


@dataclass(frozen=True)
class RunDetail(RunRow):
    """Everything about one run that is not a series."""

    scenario: dict[str, Any]
    scenario_digest: str
    data_digest: str | None
    facts: dict[str, Any] | None
    evaluation_card: dict[str, Any] | None
    infra_attempts: int
    queue: str
    priority: int
    owner: str
    memory_needed: int | None
    attempts: list[AttemptRow]


@dataclass(frozen=True)
class EventRow:
    """One change of a run's status."""

    id: int
    attempt: int
    from_status: str | None
    to_status: str
    reason: str | None
    message: str | None
    actor: str
    at: datetime


@dataclass(frozen=True)
class WorkerRow:
    """A worker, as it last said of itself."""

    id: str
    host: str
    pid: int
    device: str
    device_name: str
    version: str
    revision: str
    state: str
    run_id: str | None
    queues: str
    """That it serves, with commas around each."""
    started_at: datetime
    last_seen: datetime
    seconds_since_seen: float
    """By the database's clock."""
    too_old: bool
    """Its program does not know the tables of this one: it takes no run."""
    memory_total: int | None = None
    """Of its device, as in its table, and so are these."""
    memory_used: int | None = None
    utilisation: float | None = None

    @property
    def is_present(self) -> bool:
        """Whether it has not ended, and was seen lately."""
        return self.state != "stopped" and self.seconds_since_seen < LIVE_SECONDS

    @property
    def is_ready(self) -> bool:
        """Whether it is there, and can take the runs of this program."""
        return self.is_present and not self.too_old


@dataclass(frozen=True)
class CheckpointRow:
    """One checkpoint file; the path is relative to the data directory."""

    epoch: int
    attempt: int
    path: str
    size: int
    sha256: str
    created_at: datetime
    host: str = ""
    lock_domain: str = ""
    data_dir: str = ""
    """Of the attempt that wrote it."""


@dataclass(frozen=True)
class EvaluationRow:
    """One look at the test data under one protocol; its outcomes are read apart."""

    name: str
    kind: str
    """attack, curve or masking"""
    n: int
    card: dict[str, Any]
    findings: dict[str, Any] | None
    created_at: datetime
