"""Jobs about a run that was trained, queued for a worker: evaluations and exports."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from db.models import ACTIVE, EVALUATION, EXPORT
from db.reads import queries
from db.reads.rows import RunDetail, RunRow
from db.session import Database
from db.writes import transitions
from db.writes.transitions import NewRun
from engine.errors import UserError
from engine.evaluation.suite import require_subset
from engine.perturbation.norms import require_within
from tasks.queue.place import owner
from tasks.queue.submit import Submitted, row_of, send_messages
from tasks.recording.checkpoints import Search, Unusable, Why, is_here
from tasks.results.request import EvaluationRequest, attack_asked, sample_asked
from tasks.results.trained import require_trained
from tasks.settings import open_database, settings
from tasks.stored_scenario import require_dataset, stored_scenario
from tasks.worker.liveness import with_lost_marked

EXPORTED = {
    "metrics": (".csv", ".parquet"),
    "classes": (".csv", ".parquet"),
    "samples": (".csv", ".parquet"),
    "evaluations": (".csv", ".parquet"),
    "model": (".safetensors",),
}
"""What a job can export, and how the files' names may end."""


def submit_evaluation(run_id: str, request: EvaluationRequest, *, actor: str) -> Submitted:
    """Queue an evaluation of a run that has ended; one that is asked for already is returned.

    Raises:
        UserError: The run, the attack or the subset does not work; nothing was stored.
        DatabaseError: The database did not answer; nothing was stored.
    """
    database = open_database()
    run = _subject(database, run_id)
    _require_checkpoint(database, run_id)
    _require_possible(database, run, request)
    seed = run.seed if request.seed is None else request.seed
    wanted = _job(run, EVALUATION, request.in_words(), request=request.as_json())
    return _submit(database, run, replace(wanted, seed=seed), actor=actor)


def submit_export(run_id: str, what: str, *, ending: str, actor: str) -> Submitted:
    """Queue an export of a run's records; its file is in the folder of the job.

    Raises:
        UserError: There is no such export, or the run has not ended; nothing was stored.
        DatabaseError: The database did not answer; nothing was stored.
    """
    if what not in EXPORTED:
        raise UserError(f"--what: {what!r} cannot be queued; choose {', '.join(EXPORTED)}")
    if ending not in EXPORTED[what]:
        raise UserError(f"--out: the name must end in {' or '.join(EXPORTED[what])}")
    database = open_database()
    run = _subject(database, run_id)
    if what == "model":
        _require_checkpoint(database, run_id)
    request = {"what": what, "file": f"{what}-{run_id[:8]}{ending}"}
    wanted = _job(run, EXPORT, f"{what}, {ending}", request=request)
    return _submit(database, run, wanted, actor=actor)


def jobs_of(database: Database, run_id: str) -> list[RunRow]:
    """Return the jobs about a run, newest first."""
    with database.read() as session:
        return with_lost_marked(queries.list_jobs(session, run_id), database)


def _subject(database: Database, run_id: str) -> RunDetail:
    with database.read() as session:
        return require_trained(queries.get_run(session, run_id), run_id)


def _job(run: RunDetail, kind: str, name: str, *, request: dict[str, Any]) -> NewRun:
    """Return the row of a job: the scenario is that of its run."""
    require_dataset(run)
    row = row_of(stored_scenario(run))
    return replace(
        row,
        name=name[:200],
        scenario=run.scenario,
        scenario_digest=run.scenario_digest,
        num_epochs=1,
        data_digest=run.data_digest,
        kind=kind,
        subject_id=run.id,
        request=request,
        owner=owner(),
    )


def _submit(database: Database, run: RunDetail, wanted: NewRun, *, actor: str) -> Submitted:
    with database.write() as session:
        if not transitions.ended_with(session, run.id, run.attempt):
            raise UserError(f"RUN: {run.id} was resumed or deleted meanwhile; nothing is queued")
        job_id, created = _active(session, wanted), False
        if job_id is None:
            job_id, created = transitions.create_run(session, wanted, actor)
    return Submitted(job_id, created, sent=send_messages(database))


def _active(session: Session, wanted: NewRun) -> str | None:
    """Return the job that is asked for already and has not ended; its run is locked."""
    jobs = queries.list_jobs(session, wanted.subject_id)
    same = (job.id for job in jobs if job.status in ACTIVE and job.request == wanted.request)
    return next(same, None)


def _require_checkpoint(database: Database, run_id: str) -> None:
    """Refuse a run of which no checkpoint can be there; another host's are seen by its workers.

    Raises:
        UserError: It has none, or all of them are missing.
    """
    with database.read() as session:
        rows = queries.checkpoints(session, run_id)
    here = [row for row in rows if is_here(settings().data_dir, row)]
    missing = [row for row in here if not (settings().data_dir / row.path).exists()]
    if len(missing) == len(rows):
        why = Search(None, [Unusable(row, Why.MISSING) for row in missing]).why_none()
        raise UserError(f"RUN: {run_id}: {why}")


def _require_possible(database: Database, run: RunDetail, request: EvaluationRequest) -> None:
    """Refuse what the job would only find out when it begins, as far as that is known already.

    Raises:
        UserError: The attack, its radius or the subset does not work.
    """
    scenario = stored_scenario(run)
    attack, _ = attack_asked(scenario, request), sample_asked(scenario, request)
    source = scenario.data.source
    attack.procedure(len(source.class_names))
    try:
        require_within(attack.epsilon, attack.norm, source.channels * source.size**2)
    except ValueError as error:
        raise UserError(f"epsilon: {error}") from None
    if request.subset is not None:
        counts = _test_counts(database, run)
        if counts is not None:
            require_subset(counts, request.subset)


def _test_counts(database: Database, run: RunDetail) -> Any:
    """Return the test images of each class, if the run has told them."""
    with database.read() as session:
        final = queries.final_metrics(session, run.id)
    per_class = next((error["per_class"] for error in (final or {}).values()), None)
    return None if not per_class else np.array([row["n"] for row in per_class])


def ending_of(out: Path | None, what: str) -> str:
    """Return how the file of an export is to end: as a name does, or as is usual."""
    return out.suffix if out is not None else EXPORTED.get(what, ("",))[-1]
