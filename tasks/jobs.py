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
from engine.scenario import Scenario
from tasks.queue.place import owner
from tasks.queue.submit import Submitted, send_messages
from tasks.recording.checkpoints import Search, Unusable, Why, is_here
from tasks.results.export_request import KINDS, ExportRequest
from tasks.results.request import EvaluationRequest, attack_asked, sample_asked
from tasks.results.trained import require_model, require_trained
from tasks.settings import open_database, settings
from tasks.stored_scenario import require_dataset, stored_scenario
from tasks.worker.liveness import with_lost_marked


def submit_evaluation(run_id: str, request: EvaluationRequest, *, actor: str) -> Submitted:
    """Queue an evaluation of a run that has ended; one that is asked for already is returned.

    Raises:
        UserError: The run, the attack or the subset does not work; nothing was stored.
        DatabaseError: The database did not answer; nothing was stored.
    """
    database = open_database()
    run = _subject(database, run_id)
    _require_checkpoint(database, run)
    require_possible(stored_scenario(run), request, _test_counts(database, run))
    seed = run.seed if request.seed is None else request.seed
    wanted = _job(run, EVALUATION, request.in_words(), request=request.as_json())
    return _submit(database, run, replace(wanted, seed=seed), actor=actor)


def submit_export(run_id: str, request: ExportRequest, *, ending: str, actor: str) -> Submitted:
    """Queue an export of a run's records; its file is in the folder of the job.

    Raises:
        UserError: There is no such export, or not so, or the run has not ended; nothing was stored.
        DatabaseError: The database did not answer; nothing was stored.
    """
    if request.what not in KINDS:
        raise UserError(f"--what: {request.what!r} cannot be queued; choose {', '.join(KINDS)}")
    request.require_known()
    request.require_ending(ending)
    database = open_database()
    run = _subject(database, run_id)
    if request.kind.of_model:
        _require_checkpoint(database, run)
    stored = request.as_json() | {"file": f"{request.what}-{run_id[:8]}{ending}"}
    wanted = _job(run, EXPORT, request.in_words(ending), request=stored)
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
    return NewRun(
        name=name[:200],
        scenario=run.scenario,
        scenario_digest=run.scenario_digest,
        method=run.method,
        dataset=run.dataset,
        seed=run.seed,
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


def _require_checkpoint(database: Database, run: RunDetail) -> None:
    """Refuse a run of which no checkpoint can be there; another host's are seen by its workers.

    Raises:
        UserError: It has none, or all of them are missing.
    """
    require_model(run)
    with database.read() as session:
        rows = queries.checkpoints(session, run.id)
    here = [row for row in rows if is_here(settings().data_dir, row)]
    missing = [row for row in here if not (settings().data_dir / row.path).exists()]
    if len(missing) == len(rows):
        why = Search(None, [Unusable(row, Why.MISSING) for row in missing]).why_none()
        raise UserError(f"RUN: {run.id}: {why}")


def require_possible(scenario: Scenario, request: EvaluationRequest, test_counts: Any) -> None:
    """Refuse what the job would only find out when it begins, as far as that is known already.

    Args:
        scenario: Of the run.
        request: What is asked for.
        test_counts: Test images of each class (C,), if they are known.

    Raises:
        UserError: The attack, its radius or the subset does not work.
    """
    attack, _ = attack_asked(scenario, request), sample_asked(scenario, request)
    source = scenario.data.source
    attack.procedure(len(source.class_names))
    try:
        require_within(attack.epsilon, attack.norm, source.channels * source.size**2)
    except ValueError as error:
        raise UserError(f"epsilon: {error}") from None
    if request.subset is not None and test_counts is not None:
        require_subset(test_counts, request.subset)


def _test_counts(database: Database, run: RunDetail) -> Any:
    """Return the test images of each class, if the run has told them."""
    with database.read() as session:
        final = queries.final_metrics(session, run.id)
    per_class = next((error["per_class"] for error in (final or {}).values()), None)
    return None if not per_class else np.array([row["n"] for row in per_class])


def ending_of(out: Path | None, what: str) -> str:
    """Return how the file of an export is to end: as a name does, or as is usual."""
    if out is not None:
        return out.suffix
    return KINDS[what].endings[-1] if what in KINDS else ""
