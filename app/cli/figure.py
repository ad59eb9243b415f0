"""``caat figure``: one figure of a study as a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli.terminal import say
from engine.errors import UserError

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from app.compare.study import StudyTable
    from app.studies.figures import Figure
    from db.session import Database

PICTURES = (".svg", ".pdf", ".png")
WIDTH = 900
"""Of a picture, in pixels of CSS."""


def figure(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study's name")],
    *,
    what: Annotated[
        Literal["ranking", "differences", "classes", "class-lines", "ranks", "fronts"],
        typer.Option(help="Which figure of the page"),
    ] = "ranking",
    out: Annotated[Path, typer.Option(help="File to write: .svg, .pdf, .png or .html")],
    scenario: Annotated[str | None, typer.Option(help="As the study's file calls it")] = None,
    error: Annotated[str, typer.Option(help="What is ranked by")] = "worst_robust_error",
    against: Annotated[
        str | None, typer.Option(metavar="METHOD", help="Differences to this row, not to the best")
    ] = None,
) -> None:
    """Write one figure of a study to a file, as its page draws it."""
    from app.compare.study import read_tables
    from tasks.processes.process import require_place
    from tasks.settings import open_database

    if out.suffix not in (*PICTURES, ".html"):
        raise UserError(f"--out: {out.name!r} ends otherwise; allowed: .svg, .pdf, .png, .html")
    require_place(out)
    database = open_database()
    found = read_tables(database, study)
    tables = _ordered(database, study, found, scenario=scenario)
    _require_known(tables, error, against)
    drawn = _figure(database, what, tables, error=error, against=against)
    if drawn is None:
        raise UserError(f"--what: {study!r} has nothing for the figure {what!r}")
    _write(drawn.drawn, out)
    say(f"{out}: {drawn.alt}")


def _ordered(
    database: "Database", study: str, found: list["StudyTable"], *, scenario: str | None
) -> list["StudyTable"]:
    """Return the tables, that of the scenario first."""
    from app.cli.table import newest

    if not found:
        raise UserError(f"STUDY: no finished run belongs to {study!r}{newest(database)}")
    names = list(dict.fromkeys(table.scenario for table in found))
    if scenario is not None and scenario not in names:
        raise UserError(f"--scenario: {scenario!r} is not valid; choose {', '.join(names)}")
    return sorted(found, key=lambda table: scenario is not None and table.scenario != scenario)


def _require_known(tables: list["StudyTable"], error: str, against: str | None) -> None:
    from app.compare.measures import MEASURES

    if error not in MEASURES:
        raise UserError(f"--error: {error!r} is not valid; choose {', '.join(MEASURES)}")
    titles = list(tables[0].rows["title"])
    if against is not None and against not in titles:
        raise UserError(f"--against: {against!r} is no row; choose {', '.join(titles)}")


def _figure(
    database: "Database",
    what: str,
    tables: list["StudyTable"],
    *,
    error: str,
    against: str | None,
) -> "Figure | None":
    from app.compare.study_fronts import OVER, points
    from app.studies.figures import fronts, of_study
    from db import evaluations
    from db.models import FINAL

    if what != "fronts":
        return of_study(what, tables, name=error, against=against)
    over = error if error in OVER else "worst_robust_error"
    with database.read() as session:
        found = points(tables[0], over, lambda run_id: evaluations.in_order(session, run_id, FINAL))
    return None if found is None else fronts(found, over)


def _write(figure: "go.Figure", out: Path) -> None:
    """Write a figure, as a picture with the help of a browser that the machine has.

    Raises:
        UserError: There is none.
    """
    from tasks.processes.process import output_file

    if out.suffix == ".html":
        content = figure.to_html(include_plotlyjs=True).encode()
    else:
        from choreographer.errors import ChromeNotFoundError

        try:
            content = figure.to_image(format=out.suffix[1:], width=WIDTH)
        except (ChromeNotFoundError, RuntimeError) as error:
            if "chrome" not in str(error).lower():
                raise
            raise UserError(
                f"--out: a {out.suffix} takes Chrome or Chromium, and none is found; install one "
                "(Debian: apt install chromium), or write .html"
            ) from None
    with output_file(out) as file:
        file.write(content)
