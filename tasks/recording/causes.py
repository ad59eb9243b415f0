"""Why a run was interrupted: the words for a person, and how often it is tried again by itself."""

import errno
import math
import shutil
from pathlib import Path

from sqlalchemy.orm import Session

from db.errors import DatabaseFullError
from db.models import DRAIN
from db.reads import queries
from db.reads.rows import RunDetail
from engine.scenario import Scenario
from tasks.recording.checkpoints import NoRoomError
from tasks.settings import settings

LOST, LOST_TOO_OFTEN, OOM, DISK_FULL = "lost", "lost_too_often", "oom", "disk_full"
SPARE_BYTES = 10 * 10**6
"""Bytes that are asked for beyond a checkpoint's own, for the database and the log."""


def retries(reason: str | None) -> float:
    """Return how many automatic attempts may follow one that ended for this reason.

    Lost attempts are counted in a row without a finished epoch, others since a person's last
    resume. What nobody counts on to mend itself waits for a person.
    """
    limits = {
        DRAIN: math.inf,
        LOST: settings().max_lost_attempts - 1,
        OOM: 1,
        DISK_FULL: 0,
    }
    return limits.get(reason or "", 0)


def lost(session: Session, run_id: str, attempt: int, *, what: str, resumes: bool) -> str:
    """Say that an attempt is gone, where it was, and whether another follows.

    Args:
        session: To read.
        run_id: Which run.
        attempt: Which of its attempts.
        what: What happened to it.
        resumes: Whether whoever says this sees to the next attempt.
    """
    run = queries.get_run(session, run_id)
    assert run is not None
    mine = next((a for a in run.attempts if a.number == attempt), None)
    if run.is_job:
        place = f"image {mine.step if mine else 0:,}"
    else:
        place = f"epoch {max(mine.epoch if mine else 0, 1)}"
    follows = ""
    if run.infra_attempts < retries(LOST):
        does = "resuming" if resumes else "waits for a worker"
        follows = f" \u2013 {does} (attempt {attempt + 1})"
    return f"Interrupted at {place}{follows}: {what}"


def lost_too_often(num_lost: int) -> str:
    return f"Failed {num_lost} times at start; not retried"


DRAINED = "Paused for worker restart"


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that memory ran out, on the device or here."""
    import torch  # whoever meets such an error has it

    # Torch's own allocator for the CPU has no class of error of its own.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def out_of_memory(how: str, run: RunDetail) -> str:
    """Say that memory ran out, ``how`` in brackets, and what needs less."""
    scenario = Scenario.model_validate(run.scenario)
    if run.is_job:  # its batches are its run's: other ones would be another protocol
        size = scenario.evaluation.batch_size
        return f"Out of memory ({how}). Resume it where {size} images at a time have room"
    return (
        f"Out of memory ({how}). Try batch size \u2264 {max(scenario.training.batch_size // 2, 1)}"
    )


def is_disk_full(error: BaseException) -> bool:
    return isinstance(error, DatabaseFullError | NoRoomError) or (
        isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    )


def disk_full(folder: Path, epoch: int | None, needed: int, *, is_job: bool = False) -> str:
    """Say that the disk is full, what is safe, and how much room it takes to go on.

    Args:
        folder: On the disk that is full.
        epoch: Of the newest checkpoint, if there is one.
        needed: Bytes of what could not be written.
        is_job: Whether it is a job, which writes no checkpoints.
    """
    short = max(needed + SPARE_BYTES - shutil.disk_usage(folder).free, 10**6)
    kept = f"Last good checkpoint: epoch {epoch}" if epoch else "No checkpoint was written yet"
    if is_job:
        kept = "What it had stored is kept"
    return f"Stopped: disk full. {kept}. Free {math.ceil(short / 10**6)} MB and press Resume"
