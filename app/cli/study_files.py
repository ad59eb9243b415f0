"""``caat study presets|export|import``: studies as files."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import ACTOR, AsJson
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


def add_to(cli: typer.Typer) -> None:
    """Give a command line these three commands."""
    cli.command("presets")(presets)
    cli.command("export")(export)
    cli.command("import")(import_)
