"""A job about a run, as one attempt of it: an evaluation or an export that a worker makes.

An evaluation stores what it finds batch by batch under its fence. Another attempt takes up what is
stored, so that a job that was killed ends with the outcomes of one that was not.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from sqlalchemy.orm import Session
from torch import Tensor

from db import parts as kept
from db.models import EXPORT, RunStatus
from db.parts import Part
from db.reads.rows import RunDetail
from db.session import Database
from db.writes import records, transitions
from engine.attacks.base import Parts
from engine.errors import Stopped
from engine.runtime import device_name, versions
from tasks.processes.database_retry import retry_transient
from tasks.recording import exactness
from tasks.recording.recorder import ALIVE_SECONDS, RETRY_SECONDS, ReplacedError
from tasks.results.evaluate import Looks, store
from tasks.results.export_request import request_of
from tasks.results.request import EvaluationRequest
from tasks.results.trained import Trained, load_trained
from tasks.settings import settings

STORE_SECONDS = 1.0
"""What was found is stored at most so often, together with where the job is."""
log = logging.getLogger("caat.trainer")


class Job:
    """One attempt of a job: what it writes, and whether it still may."""

    def __init__(
        self, database: Database, job: RunDetail, attempt: int, *, should_stop: Callable[[], bool]
    ) -> None:
        """Work as one attempt; ``should_stop`` is asked before each batch."""
        self.database, self.id, self.attempt = database, job.id, attempt
        self.row, self.subject_id = job, job.subject_id or job.id
        self.should_stop = should_stop

    def write(
        self, write: Callable[[Session], object], first: Callable[[Session], object] | None = None
    ) -> None:
        """Write in one fenced transaction; wait for a database that is away for a moment.

        Args:
            write: What is written.
            first: Done before the fence: a run is locked before its jobs.

        Raises:
            ReplacedError: Another attempt has the job.
        """

        def fenced() -> None:
            with self.database.write() as session:
                if first is not None:
                    first(session)
                if not transitions.fence(session, self.id, self.attempt):
                    raise ReplacedError(f"attempt {self.attempt} of job {self.id} was replaced")
                write(session)

        retry_transient(fenced, RETRY_SECONDS)

    def succeed(self, session: Session, message: str) -> None:
        """Write its end, in the transaction that stores what it was for."""
        transitions.finish(
            session, self.id, self.attempt, status=RunStatus.SUCCEEDED, message=message
        )


class StoredParts(Parts):
    """Takes batches from what the job has stored, and stores what it finds besides."""

    def __init__(self, job: Job, stored: Mapping[int, Part]) -> None:
        """Go on from what is stored."""
        self.num_images, self._num_looks = 0, 1
        self._job, self._stored = job, stored
        self._pending: list[Part] = []
        self._number, self._look, self._share = 0, -1, 0.0
        self._told_at = time.monotonic()

    def expect(self, num_looks: int, num_images: int) -> None:
        """Be told how many looks there will be, and at how many images in all."""
        self._num_looks, self.num_images = num_looks, num_images

    def begin(self) -> None:
        self._look, self._share = self._look + 1, 0.0

    def part(self, x: Tensor, y: Tensor, find: Callable[[], Tensor], *, share: float) -> Tensor:
        number, mark = self._number, _mark(x, y)
        self._number, self._share = number + 1, share
        known = self._stored.get(number)
        if known is not None and known.mark == mark:
            return torch.from_numpy(known.said).to(y)
        found = find()
        self._pending.append(Part(number, mark, found.cpu().numpy()))
        if time.monotonic() - self._told_at > STORE_SECONDS:
            self.store()
        return found

    def check(self) -> None:
        """Stop if asked to; and where one batch takes long, tell that the job gets on."""
        if self._job.should_stop():
            self.store()
            raise Stopped
        if time.monotonic() - self._told_at > ALIVE_SECONDS:
            self.store()

    def store(self) -> None:
        """Store what was found since the last time, and where the job is."""
        self._told_at = time.monotonic()
        done = (max(self._look, 0) + self._share) / self._num_looks
        step = min(round(done * self.num_images), self.num_images)

        def write(session: Session) -> None:
            place = {"epoch": 1, "step": step, "num_steps": self.num_images}
            job, attempt = self._job.id, self._job.attempt
            transitions.progress(session, job, attempt, **place, phase="evaluating")
            if self._pending:
                kept.write_parts(session, job, attempt, parts=self._pending)
                transitions.epoch_done(session, job, attempt, epoch=0)  # not lost at its start

        self._job.write(write)
        self._pending = []


def _mark(x: Tensor, y: Tensor) -> int:
    """Return what tells these images and labels from others."""
    pixels = (x * 255).round().to(torch.uint8).cpu().contiguous().numpy()
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=8)
    digest.update(y.cpu().numpy().astype(np.int64).tobytes())
    return int.from_bytes(digest.digest(), "big", signed=True)


def work(
    database: Database,
    row: RunDetail,
    attempt: int,
    *,
    device: str,
    should_stop: Callable[[], bool],
) -> None:
    """Do what a job asks for, and store it.

    Args:
        database: Where the job and its run are.
        row: The job.
        attempt: Which of its attempts this is.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        should_stop: Asked before each batch.

    Raises:
        Stopped: Somebody asked it to stop; what was found is stored.
        ReplacedError: Another attempt has the job.
        UserError: The run has not ended, or what is asked for does not work.
    """
    job = Job(database, row, attempt, should_stop=should_stop)
    log.info("Attempt %d on %s: %s of run %s", attempt, device, row.kind, job.subject_id)
    if row.kind == EXPORT:
        _export(job)
    else:
        _evaluate(job, device)


def _evaluate(job: Job, device: str) -> None:
    trained = load_trained(job.database, job.subject_id, device)
    request = EvaluationRequest(**(job.row.request or {}))
    parts = taken_up(job)
    looks = Looks(trained, request, check=parts.check, parts=parts)
    parts.expect(looks.num_looks(), looks.num_images())
    tell_facts(job, facts_of(trained))
    found = looks.found()
    names = [new.name for new in found.values()]

    def write(session: Session) -> None:
        kept.drop_parts(session, job.id)
        job.succeed(session, f"Stored with run {job.subject_id[:8]}: {'; '.join(names)}")

    job.write(write, first=lambda session: store(session, trained, found))


def taken_up(job: Job) -> StoredParts:
    """Return the parts of a job, with what an earlier attempt has stored of them."""
    stored = retry_transient(lambda: _stored(job), RETRY_SECONDS)
    log.info("%d batches are stored already", len(stored))
    return StoredParts(job, stored)


def _stored(job: Job) -> dict[int, Part]:
    with job.database.read() as session:
        return kept.parts(session, job.id)


def facts_of(trained: Trained) -> dict[str, Any]:
    """Return what decides a number's last bit."""
    return {
        "device": str(trained.device),
        "device_name": device_name(trained.device),
        "num_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "versions": versions(),
    }


def tell_facts(job: Job, now: dict[str, Any]) -> None:
    """Note what the attempt works with, and what is other than at the one before."""
    earlier = job.row.facts or {}
    found = exactness.differences(earlier, now)
    marks = [*earlier.get(exactness.NOT_EXACT, []), *found]

    def write(session: Session) -> None:
        if found:
            text = exactness.label(found)
            transitions.remark(
                session, job.id, job.attempt, reason=exactness.NOT_EXACT, message=text
            )
        records.write_facts(session, job.id, now | {exactness.NOT_EXACT: marks})

    job.write(write)


def _export(job: Job) -> None:
    """Write a run's records into the folder of the job, with which they go."""
    from tasks.results import export

    stored = job.row.request or {}
    request, out = request_of(stored), settings().run_dir(job.id) / str(stored["file"])
    number = export.export(job.database, job.subject_id, request, out=out)
    job.write(lambda session: job.succeed(session, f"{number:,} {request.kind.unit} in {out}"))
