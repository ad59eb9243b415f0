"""``caat table``: the table of a study on stdout."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from engine.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.compare.study import StudyTable
    from db.session import Database


def table(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study's name")],
    format_: Annotated[
        Literal["markdown", "latex", "html", "csv", "json"], typer.Option("--format")
    ] = "markdown",
    against: Annotated[
        str | None, typer.Option(metavar="METHOD", help="Differences to this row as well")
    ] = None,
    *,
    published: Annotated[
        bool, typer.Option("--published", help="What papers printed, below the tables")
    ] = False,
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
    text = FORMATS[format_](found, against)
    if published:
        text = _with_published(text, format_, found)
    typer.echo(text, nl=False)


def _with_published(text: str, format_: str, found: "Sequence[StudyTable]") -> str:
    from app.compare.published_text import PUBLISHED_FORMATS

    if format_ not in PUBLISHED_FORMATS:
        raise UserError(
            f"--published: not in {format_}, which holds one table; use "
            f"{', '.join(PUBLISHED_FORMATS)}"
        )
    added = PUBLISHED_FORMATS[format_](found)
    end = "</body></html>\n"
    return f"{text.removesuffix(end)}{added}{end}" if text.endswith(end) else f"{text}{added}"


def newest(database: "Database") -> str:
    """Return the end of a line that names the studies there are; nothing if there are none."""
    from db import studies

    with database.read() as session:
        known = [row.name for row in studies.studies(session, 5)]
    return f"; the newest are {', '.join(map(repr, known))}" if known else ""
