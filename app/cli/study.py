"""``caat study``: launch, extend, status, pause, resume and delete a study as one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import study_files
from app.cli.options import ACTOR, AsJson, File, Memory, Priority, Queue
from app.cli.terminal import say, say_json
from app.text.format import duration
from engine.errors import UserError

if TYPE_CHECKING:
    from db.reads.rows import RunRow
    from engine.study import Cell

cli = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Methods by scenarios by seeds, as one."
)
MOST_SEEDS = 1000
Yes = Annotated[bool, typer.Option(help="Queue more than 10,000 runs without a question")]
Name = Annotated[str, typer.Argument(metavar="STUDY", help="A study's name")]


@cli.command()
def launch(  # noqa: PLR0913 - the options of a command
    file: File,
    *,
    seeds: Annotated[
        str | None, typer.Option(help="In place of the file's: 3..7, or 0,1,2", metavar="SEEDS")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would be queued, and queue nothing")] = (
        False
    ),
    yes: Yes = False,
    queue: Queue = None,
    priority: Priority = None,
    memory: Memory = None,
    as_json: AsJson = False,
) -> None:
    """Queue every cell of a study file that the study of its name does not have yet.

    What another study has trained is shared by both.

    Given again, it queues nothing; with a file that has grown, or other seeds, what is new.
    """
    from app.scenario.toml_in import read_toml
    from engine.study import cells, read_study
    from tasks.queue.place import ANYWHERE, changed
    from tasks.queue.submit import NOT_SENT
    from tasks.study import ASK_ABOVE, extend_study

    place = changed(ANYWHERE, queue=queue, priority=priority, memory=memory)
    values = read_toml(file)
    study = read_study(values if seeds is None else {**values, "seeds": seeds_of(seeds)})
    found = cells(study)
    if dry_run:
        return _say_plan(study.name, found, as_json=as_json)
    if len(found) > ASK_ABOVE and not yes:
        raise UserError(
            f"study: {len(found)} runs; say --yes if so many are meant, or --dry-run to see them"
        )
    done = extend_study(study.name, found, actor=ACTOR, place=place)
    if as_json:
        numbers = {"shared": done.shared, "there": done.there}
        return say_json({"study": study.name, "queued": done.run_ids, **numbers})
    shared = f"{done.shared} shared with others, " if done.shared else ""
    say(f"{study.name}: {len(done.run_ids)} queued, {shared}{done.there} there already")
    if not done.sent:
        say(f"caat: {NOT_SENT}", err=True)
    return None


@cli.command()
def extend(
    file: File,
    seeds: Annotated[str, typer.Option(help="More seeds: 3..7, or 5,6", metavar="SEEDS")],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Queue the cells of a study file for more seeds; those that are there stay as they are."""
    launch(file, seeds=seeds, yes=yes, as_json=as_json)


def seeds_of(text: str) -> list[int]:
    """Read ``3..7`` (both ends) or ``0,1,2``.

    Raises:
        UserError: It is neither.
    """
    first, dots, last = text.partition("..")
    try:
        if dots:
            found = list(range(int(first), int(last) + 1))
        else:
            found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or len(found) > MOST_SEEDS:
        raise UserError(
            f"--seeds: {text!r} is not valid; write 3..7 or 0,1,2, at most {MOST_SEEDS} of them"
        )
    return found


def _say_plan(name: str, cells: Sequence["Cell"], *, as_json: bool) -> None:
    """Say each combination with its seeds, and how many would be queued."""
    from app.studies.plan import plan_of
    from db.studies import Found

    plan = plan_of(name, cells)
    new, shared, there = (plan.number(found) for found in (Found.NEW, Found.SHARED, Found.THERE))
    if as_json:
        table = [{"scenario": s, "method": m, **row} for (s, m), row in plan.rows.items()]
        head = {"study": name, "cells": len(cells), "new": new, "shared": shared, "there": there}
        known = {"seconds": plan.seconds, "stored_bytes": round(plan.stored_bytes)}
        return say_json({**head, **known, "never_measured": plan.unknown, "rows": table})
    for (scenario, method), row in plan.rows.items():
        said = ((Found.NEW, "seeds"), (Found.SHARED, "shared:"), (Found.THERE, "there:"))
        told = [f"{word} {_listed(row[found])}" for found, word in said if row[found]]
        say(f"{scenario or '-':30}  {method:30}  {'; '.join(told)}")
    say(f"{name}: {len(cells)} cells, {new} to queue, {shared} shared with others, {there} there")
    if plan.seconds:
        size = f"{plan.stored_bytes / 2**20:,.0f} MiB"
        say(
            f"about {duration(plan.seconds)} one after the other, and {size} of disk, from what "
            "earlier runs took"
        )
    if plan.unknown:
        say(f"no time is known of {', '.join(plan.unknown)}: no such run has finished here")
    return None


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


@cli.command()
def status(
    study: Annotated[str | None, typer.Argument(metavar="[STUDY]")] = None, as_json: AsJson = False
) -> None:
    """List the studies, or say how each run of one stands."""
    from db import studies
    from tasks.settings import open_database

    database = open_database()
    if study is not None:
        return _say_runs(study, _runs_of(study), as_json=as_json)
    with database.read() as session:
        rows = studies.studies(session)
    if as_json:
        told = [
            {"study": row.name, "total": row.total, "statuses": row.statuses, "done": row.progress}
            for row in rows
        ]
        return say_json({"studies": told})
    for row in rows:
        said = ", ".join(f"{number} {state}" for state, number in row.statuses.items())
        say(f"{row.name:40}  {row.progress:4.0%}  {said}")
    return None


def _say_runs(study: str, runs: Sequence["RunRow"], *, as_json: bool) -> None:
    told: list[dict[str, Any]] = [
        {
            "run_id": run.id,
            "status": run.shown_status,
            "epoch": run.epoch,
            "epochs": run.num_epochs,
            "method": run.method,
            "seed": run.seed,
            "name": run.name,
        }
        for run in reversed(runs)
    ]
    if as_json:
        return say_json({"study": study, "runs": told})
    for run in told:
        at = f"{run['epoch']}/{run['epochs']}"
        say(f"{run['run_id']}  {run['status']:11}  {at:8}  seed {run['seed']:<6}  {run['name']}")
    return None


def _runs_of(study: str) -> list["RunRow"]:
    """Return the runs of a study, newest first.

    Raises:
        UserError: There is no such study.
    """
    from app.cli.table import newest
    from db import studies
    from tasks.settings import open_database
    from tasks.study import MAX_RUNS
    from tasks.worker import liveness

    database = open_database()
    with database.read() as session:
        runs = studies.runs_of(session, study, MAX_RUNS)
        if runs:
            return list(liveness.with_lost_marked(runs, database))
    raise UserError(f"STUDY: no study is called {study!r}{newest(database)}")


@cli.command()
def pause(study: Name) -> None:
    """Stop every run of a study that waits or trains; `resume` goes on where each was."""
    from tasks.study import stop_study

    _runs_of(study)
    say(stop_study(study, ACTOR))


@cli.command()
def resume(study: Name) -> None:
    """Queue every run of a study again that was stopped, failed or was interrupted."""
    from tasks.study import resume_study

    _runs_of(study)
    say(resume_study(study, ACTOR))


@cli.command()
def delete(
    study: Name,
    leave_files: Annotated[
        bool, typer.Option(help="Forget runs whose files are on hosts that are gone")
    ] = False,
) -> None:
    """Delete every run of a study with everything that it recorded; all must have ended."""
    from tasks.study import delete_study

    _runs_of(study)
    say(delete_study(study, ACTOR, leave_files=leave_files))


study_files.add_to(cli)
