"""A report as one HTML file: nothing is fetched, and no name is read as HTML or script."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import plotly.graph_objects as go
import plotly.io
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from app.charts.base import CONFIG
from app.text.format import NOTHING, now, percent
from tasks.escaping import for_html, lines_for_html

MIME = "text/html"
SIZE = "about 5 MB, since the charts' script is inside; it opens without a network"

_TEMPLATES = {"light": "plotly_white", "dark": "plotly_dark"}
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    finalize=lambda value: Markup(for_html(value)) if type(value) is str else value,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Drawing:
    """A figure, with what it shows in words."""

    title: str
    alt: str
    figure: go.Figure


@dataclass(frozen=True)
class Table:
    """Rows of text under their columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it, in this order; ``code`` is shown as it is."""

    title: str
    text: Sequence[str] = ()
    drawings: Sequence[Drawing] = ()
    table: Table | None = None
    code: str = ""


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    subtitle: str
    sections: Sequence[Section] = field(default_factory=list)

    def html(self) -> bytes:
        """Return the file."""
        figures = [_slim(drawing.figure) for part in self.sections for drawing in part.drawings]
        page = _ENVIRONMENT.get_template("document.html").render(
            document=self,
            code=lambda text: Markup(lines_for_html(text)),
            figures=figures,
            templates={kind: _template(name) for kind, name in _TEMPLATES.items()},
            config=CONFIG,
            plotly_js=get_plotlyjs(),
            written=f"{now():%Y-%m-%d %H:%M} UTC",
            version=version("caat-studio"),
        )
        return page.encode("utf-8")


def pairs(rows: Mapping[str, str]) -> Table:
    """Return names and values as a table without headings."""
    return Table((), list(rows.items()))


def table_of(frame: pd.DataFrame, shares: Sequence[str] = ()) -> Table:
    """Return a frame's rows as text; the columns of ``shares`` in percent."""
    columns = [str(name) for name in frame.columns]
    rows = [
        [_cell(value, name in shares) for name, value in zip(columns, row, strict=True)]
        for row in frame.itertuples(index=False)
    ]
    return Table([name.replace("_", " ").capitalize() for name in columns], rows)


def _cell(value: Any, is_share: bool) -> str:
    if is_share:
        return percent(value)
    if value is None or value != value:  # NaN is the only value unlike itself
        return NOTHING
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _slim(figure: go.Figure) -> Any:
    figure.update_layout(template=None)
    return json.loads(figure.to_json(engine="json"))


def _template(name: str) -> Any:
    return json.loads(plotly.io.to_json(go.Figure(layout={"template": name}), engine="json"))[
        "layout"
    ]["template"]
