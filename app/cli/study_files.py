"""``caat study presets|export|import|search``: studies as files."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import ACTOR, AsJson, File, Memory, Priority, Queue
from app.cli.terminal import say, say_json
from app.text.format import count

OUT = "studies.caat"
Names = Annotated[list[str], typer.Argument(metavar="STUDY...", help="Names of studies")]


def presets(
    name: Annotated[str | None, typer.Argument(metavar="[PRESET]")] = None, as_json: AsJson = False
) -> None:
    """List the study files that come with the program, or print one to change and launch."""
    from app.studies.preset_files import preset_file, preset_files

    if name is not None:
        typer.echo(preset_file(name).text, nl=False)
    elif as_json:
        found = [{"name": one.name, "description": one.description} for one in preset_files()]
        say_json({"presets": found})
    else:
        for one in preset_files():
            say(f"{one.name:16}  {one.description}")


def export(
    studies: Names,
    out: Annotated[Path, typer.Option(help="File to write")] = Path(OUT),
    as_json: AsJson = False,
) -> None:
    """Write the finished runs of studies, without checkpoints, to a file that `import` reads."""
    from tasks.results.study_archive import export_studies
    from tasks.settings import open_database

    done = export_studies(open_database(), studies, out)
    size = out.stat().st_size
    if as_json:
        return say_json({"studies": done.studies, "runs": done.copied, "bytes": size})
    return say(f"{out}: {count(done.copied, 'run')}, {size / 2**20:.1f} MiB")


def import_(
    file: Annotated[Path, typer.Argument(help="That `export` wrote", exists=True, dir_okay=False)],
    as_json: AsJson = False,
) -> None:
    """Add the runs of a file that are not here yet, with the names of their studies."""
    from tasks.results.study_archive import import_studies
    from tasks.settings import open_database

    done = import_studies(open_database(), file, ACTOR)
    if as_json:
        told = {"studies": done.studies, "runs": done.copied, "there": done.there}
        return say_json(told)
    names = ", ".join(done.studies)
    return say(f"{names}: {count(done.copied, 'run')} imported, {done.there} there already")


def search(  # noqa: PLR0913 - the options of a command
    file: File,
    *,
    out: Annotated[
        Path | None, typer.Option(help="Study file to write with the settings that were found")
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Settings under way at once [default: one a worker]")
    ] = None,
    queue: Queue = None,
    priority: Priority = None,
    memory: Memory = None,
    as_json: AsJson = False,
) -> None:
    """Find the settings of a study's methods that no other beats, on a search split.

    It waits for the runs, and goes on where it was when called again.
    """
    from app.scenario.toml_in import read_toml
    from app.scenario.toml_out import written
    from db.reads import queries
    from engine.study import point_in_words, read_study
    from tasks import search as tasks_search
    from tasks.processes.process import output_file, require_place
    from tasks.queue.place import ANYWHERE, changed
    from tasks.settings import open_database

    if out is not None:
        require_place(out)
    study = read_study(read_toml(file))
    with open_database().read() as session:
        ready = sum(worker.is_ready for worker in queries.workers(session))
    if not ready:
        say("caat: no worker is ready; the settings wait for one in the queue", err=True)
    found = tasks_search.search(
        study,
        actor=ACTOR,
        parallel=parallel or max(ready, 1),
        told=(lambda line: None) if as_json else say,
        place=changed(ANYWHERE, queue=queue, priority=priority, memory=memory),
    )
    if out is not None:
        with output_file(out) as sink:
            sink.write(written(tasks_search.chosen_study(study, found)).encode())
    if as_json:
        return say_json(
            {"study": tasks_search.search_name(study), "front": [vars(t) for t in found]}
        )
    say("No other setting of its method is as good in both:")
    for tried in found:
        errors = " / ".join(f"{100 * error:.1f}" for error in tried.errors)
        point = point_in_words(tried.point)
        say(f"{tried.scenario or '-':30}  {tried.method:20}  {errors:12}  {point}")
    return None


def add_to(cli: typer.Typer) -> None:
    """Give a command line these commands."""
    cli.command("presets")(presets)
    cli.command("export")(export)
    cli.command("import")(import_)
    cli.command("search")(search)
