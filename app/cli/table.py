"""``caat table``: the table of a study on stdout."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from engine.errors import UserError

if TYPE_CHECKING:
    from db.session import Database


def table(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study's name")],
    format_: Annotated[
        Literal["markdown", "latex", "html", "csv", "json"], typer.Option("--format")
    ] = "markdown",
    against: Annotated[
        str | None, typer.Option(metavar="METHOD", help="Differences to this row as well")
    ] = None,
) -> None:
    """Print mean and deviation over seeds of a study's finished runs, method by method."""
    from app.compare.study import read_tables
    from app.compare.study_text import FORMATS
    from tasks.settings import open_database

    database = open_database()
    found = read_tables(database, study)
    if not found:
        raise UserError(f"STUDY: no finished run belongs to {study!r}{newest(database)}")
    titles = list(dict.fromkeys(title for table in found for title in table.rows["title"]))
    if against is not None and against not in titles:
        raise UserError(f"--against: {against!r} is no row; choose {', '.join(titles)}")
    typer.echo(FORMATS[format_](found, against), nl=False)


def newest(database: "Database") -> str:
    """Return the end of a line that names the studies there are; nothing if there are none."""
    from db import studies

    with database.read() as session:
        known = [row.name for row in studies.studies(session, 5)]
    return f"; the newest are {', '.join(map(repr, known))}" if known else ""
