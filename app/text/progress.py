"""Where a run or a job is, in one line, and how long it still takes."""

from app.text.format import count, duration, eta_seconds
from db.models import TRAINING
from db.reads.rows import RunRow

PHASES = {
    "starting": "starting",
    "training": "training",
    "validating": "measuring on validation data",
    "testing": "measuring on test data",
    "evaluating": "attacking test images",
}


def time_left(run: RunRow) -> str:
    """Return the time left of a run that is at work, else nothing."""
    if run.shown_status != "running":
        return ""
    before = run.epochs_before / run.num_epochs
    seconds = eta_seconds(run.attempt_started_at, run.progress, before)
    return "estimating" if seconds is None else duration(seconds)


def whereabouts(run: RunRow) -> str:
    """Say where a run is, in one line."""
    return _training_whereabouts(run) if run.kind == TRAINING else _job_whereabouts(run)


def _training_whereabouts(run: RunRow) -> str:
    epochs = f"Epoch {min(run.epoch + 1, run.num_epochs)} of {run.num_epochs}"
    match run.shown_status:
        case "lost":
            return f"{epochs}: its worker is gone; it goes on from its last finished epoch"
        case "queued":
            return f"Waiting for a worker; {count(run.num_epochs - run.epoch, 'epoch')} to train"
        case "running":
            steps = f", step {run.step} of {run.num_steps}" if run.num_steps else ""
            phase = PHASES.get(run.phase or "", run.phase or "starting")
            return f"{epochs}: {phase}{steps} · time left: {time_left(run)}"
        case "stopping":
            return f"{epochs}: stopping after this step"
        case "interrupted":
            return f"{epochs}: interrupted; it goes on from its last finished epoch"
        case "succeeded" if run.epoch < run.num_epochs:
            done = f"Stopped early after {run.epoch} of {count(run.num_epochs, 'epoch')}"
            return f"{done}: the validation data got no better{_took(run)}"
        case "succeeded":
            return f"All {count(run.num_epochs, 'epoch')} done{_took(run)}"
        case _:
            return f"Ended after {run.epoch} of {count(run.num_epochs, 'epoch')}{_took(run)}"


def _job_whereabouts(job: RunRow) -> str:
    """Say where a job is; it counts images, and those of an earlier attempt are not done again."""
    images = f"{job.step:,} of {count(job.num_steps, 'image')}" if job.num_steps else "starting"
    match job.shown_status:
        case "lost":
            return "Its worker is gone; it goes on from what is stored"
        case "queued":
            return "Waiting for a worker"
        case "running":
            return images
        case "stopping":
            return "Stopping after this batch"
        case "interrupted":
            return "Interrupted; it goes on from what is stored"
        case "succeeded":
            return f"Done{_took(job)}"
        case _:
            return f"Ended{_took(job)}"


def _took(run: RunRow) -> str:
    if run.started_at is None or run.ended_at is None:
        return ""
    return f" · took {duration((run.ended_at - run.started_at).total_seconds())}"
