"""``caat table``: the table of a study on stdout."""

from typing import Annotated, Literal

import typer

from engine.errors import UserError


def table(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study's name")],
    format_: Annotated[
        Literal["markdown", "latex", "csv", "json"], typer.Option("--format")
    ] = "markdown",
    against: Annotated[
        str | None, typer.Option(metavar="METHOD", help="Differences to this row as well")
    ] = None,
) -> None:
    """Print mean and deviation over seeds of a study's finished runs, method by method."""
    from app.compare.study import read_tables
    from app.compare.study_text import FORMATS
    from db import studies
    from tasks.settings import open_database

    database = open_database()
    found = read_tables(database, study)
    if not found:
        with database.read() as session:
            known = [row.name for row in studies.studies(session, 5)]
        there = f"; the newest are {', '.join(map(repr, known))}" if known else ""
        raise UserError(f"STUDY: no finished run belongs to {study!r}{there}")
    titles = list(dict.fromkeys(title for table in found for title in table.rows["title"]))
    if against is not None and against not in titles:
        raise UserError(f"--against: {against!r} is no row; choose {', '.join(titles)}")
    typer.echo(FORMATS[format_](found, against), nl=False)
