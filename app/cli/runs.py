"""What a person does to runs: launch, status, stop, resume, place, delete."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import ACTOR, AsJson, File, Memory, Priority, Queue, RunId, Set
from app.cli.queued import say_queued
from app.cli.terminal import say, say_json

if TYPE_CHECKING:
    from db.reads.rows import RunDetail, RunRow


def launch(
    file: File,
    *,
    set_: Set = None,
    queue: Queue = None,
    priority: Priority = None,
    memory: Memory = None,
    as_json: AsJson = False,
) -> None:
    """Queue one run for a worker."""
    from app.scenario.toml_in import read_scenario
    from engine.advice import advice
    from tasks.queue.place import ANYWHERE, changed
    from tasks.queue.submit import submit

    wanted = changed(ANYWHERE, queue=queue, priority=priority, memory=memory)
    scenario = read_scenario(file, set_ or [])
    say_queued(submit(scenario, actor=ACTOR, place=wanted), as_json=as_json)
    for line in advice(scenario):
        say(f"caat: {line}", err=True)


def status(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="List runs with this tag alone")] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs, or say how one stands."""
    from db.reads import queries, search
    from tasks.settings import open_database
    from tasks.worker import liveness

    database = open_database()
    with database.read() as session:
        if run_id is not None:
            from tasks import commands

            found = queries.get_run(session, commands.find_run(run_id))
            assert found is not None
            metrics = queries.final_metrics(session, found.id)
            return _show_run(liveness.with_lost_marked([found], database)[0], metrics, as_json)
        where = [search.tagged((name,)) for name in tag or ()]
        rows = liveness.with_lost_marked(queries.list_runs(session, where=where), database)
        found_jobs = [] if tag else queries.list_jobs(session)
        jobs = liveness.with_lost_marked(found_jobs, database)
    table = [
        {
            "run_id": r.id,
            "status": r.shown_status,
            "epoch": r.epoch,
            "epochs": r.num_epochs,
            "method": r.method,
            "dataset": r.dataset,
            "name": r.name,
            "tags": list(r.tags),
        }
        for r in rows
    ]
    if as_json:
        return say_json({"runs": table, "jobs": [_as_json(job) for job in jobs]})
    for r in rows:
        epochs = f"{r.epoch}/{r.num_epochs}"
        say(f"{r.id}  {r.shown_status:11}  {epochs:8}  {r.method:21}  {r.dataset}  {r.name}")
    for job in jobs:
        about = f"{job.kind} of {(job.subject_id or '')[:8]}"
        say(f"{job.id}  {job.shown_status:11}  {job.progress:<8.0%}  {about:21}  {job.name}")
    return None


def _as_json(job: "RunRow") -> dict[str, Any]:
    """Return what is told of a job: a list and its own page tell the same."""
    return {
        "run_id": job.id,
        "kind": job.kind,
        "subject_id": job.subject_id,
        "request": job.request,
        "status": job.shown_status,
        "progress": job.progress,
        "step": job.step,
        "num_steps": job.num_steps,
    }


def _show_job(job: "RunDetail", as_json: bool) -> None:
    """Say how a job stands; a step is an image that an evaluation has looked at."""
    from tasks import commands
    from tasks.worker.liveness import LOST_JOB

    waits = commands.why_it_waits(job.id) if job.status == "queued" else None
    told = _as_json(job) | {
        "reason": job.reason,
        "message": LOST_JOB if job.is_lost else waits or job.message,
        "attempt": job.attempt,
    }
    if as_json:
        return say_json(told)
    say(f"run_id   {job.id}")
    say(f"status   {job.shown_status}")
    say(f"what     {job.kind} of {job.subject_id}: {job.name}")
    if told["message"] is not None:
        say(f"message  {told['message']}")
    at = f" ({job.step:,} of {job.num_steps:,} images)" if job.num_steps else ""
    say(f"done     {job.progress:.0%}{at}")
    return say(f"attempt  {job.attempt}")


def _show_run(run: "RunDetail", metrics: dict[str, Any] | None, as_json: bool) -> None:
    from app.text.evaluation_card import threat_of
    from tasks import commands
    from tasks.worker.liveness import LOST_WORKER

    if run.is_job:
        return _show_job(run, as_json)
    waits = commands.why_it_waits(run.id) if run.status == "queued" else None
    told = {
        "run_id": run.id,
        "status": run.shown_status,
        "method": run.method,
        "reason": run.reason,
        "message": LOST_WORKER if run.is_lost else waits or run.message,
        "queue": run.queue,
        "priority": run.priority,
        "epoch": run.epoch,
        "epochs": run.num_epochs,
        "attempt": run.attempt,
        "evaluation_card": run.evaluation_card,
        "metrics": metrics,
        "name": run.name,
        "tags": list(run.tags),
        "notes": run.notes,
    }
    if as_json:
        return say_json(told)
    told |= {"tags": ", ".join(run.tags) or None, "notes": run.notes or None}
    for name in (
        "run_id",
        "name",
        "tags",
        "notes",
        "status",
        "method",
        "message",
        "epoch",
        "epochs",
        "attempt",
    ):
        if told[name] is not None:
            say(f"{name:8} {told[name]}")
    return print_errors(metrics, threat_of(run.scenario, run.evaluation_card))


def print_errors(metrics: dict[str, Any] | None, threat: str) -> None:
    """Print a line for each error: its average, and its worst class."""
    from app.text.evaluation_card import under_if_attacked

    for name, value in (metrics or {}).items():
        attacked = under_if_attacked(name, threat)
        say(
            f"{name.replace('_', ' '):15} {value['average']:6.1%}   "
            f"worst class {value['worst_class']}: {value['worst']:.1%}{attacked}"
        )


def stop(run_id: RunId) -> None:
    """Ask a run to stop; what it recorded stays."""
    from tasks import commands

    say(commands.stop(commands.find_run(run_id), ACTOR))


def resume(run_id: RunId) -> None:
    """Queue a run again that was stopped, failed or interrupted."""
    from tasks import commands

    say(commands.resume(commands.find_run(run_id), ACTOR))


def place(
    run_id: RunId, *, queue: Queue = None, priority: Priority = None, memory: Memory = None
) -> None:
    """Give a run that waits another queue, priority or need of memory, or say what it has."""
    from tasks import commands
    from tasks.queue.place import changed, in_words

    found = commands.find_run(run_id)
    now = commands.place_of(found)
    wanted = changed(now, queue=queue, priority=priority, memory=memory)
    say(commands.place(found, ACTOR, wanted) if wanted != now else f"It is {in_words(now)}")


def delete(
    run_id: RunId,
    leave_files: Annotated[
        bool, typer.Option(help="Forget it now, although its files on other hosts stay there")
    ] = False,
) -> None:
    """Delete an ended run with everything that it recorded."""
    from tasks import commands

    say(commands.delete(commands.find_run(run_id), ACTOR, leave_files=leave_files))
