"""The tables of a study as text: Markdown, LaTeX, HTML, CSV and JSON."""

import json
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from app.compare.contest import contest
from app.compare.measures import MEASURES
from app.compare.protocol import differences, in_words
from app.compare.study import StudyTable
from app.compare.study_cells import (
    DIFFERENCES,
    NOTE,
    Escaped,
    Marks,
    cells,
    difference_cells,
    heads,
)
from tasks.escaping import (
    comment_for_latex,
    for_html,
    for_json,
    for_latex,
    for_markdown,
    frame_for_csv,
)

MARKDOWN = Marks(for_markdown, "**{}**", "*{}*", " ± ")
LATEX = Marks(for_latex, "\\textbf{{{}}}", "\\textit{{{}}}", " $\\pm$ ")
HTML = Marks(for_html, "<b>{}</b>", "<i>{}</i>", " ± ")
Tables = Sequence[StudyTable]


def apart(tables: Tables) -> str:
    """Say that there is more than one protocol, and what differs; nothing if there is one."""
    told = "; ".join(differences(protocols := _protocols(tables)))
    return (
        f"These results were measured in {len(protocols)} ways and are ranked within each only. "
        f"What differs is {told}."
        if len(protocols) > 1
        else ""
    )


def _protocols(tables: Tables) -> list[Mapping[str, object]]:
    return list({json.dumps(t.protocol, sort_keys=True): t.protocol for t in tables}.values())


def where(table: StudyTable, escaped: Escaped) -> str:
    """Say of a table which scenario and which protocol it is of."""
    scenario = f"Scenario: {escaped(table.scenario)}. " if table.scenario else ""
    return f"{scenario}Protocol: {escaped(in_words(table.protocol))}."


# -- Markdown


def as_markdown(tables: Tables, against: str | None = None) -> str:
    """Write each table below its scenario and protocol, and a note on what stands there.

    With ``against`` a table of differences to that row stands below each.
    """
    parts = [for_markdown(apart(tables))] * bool(apart(tables))
    for table in tables:
        parts += [where(table, for_markdown), markdown_table(table)]
        if against is not None:
            rows = difference_cells(table, against, for_markdown)
            parts.append(DIFFERENCES.format(for_markdown(against)))
            parts.append(markdown_lines(["Method", *heads(table).values()], rows))
    return "\n\n".join([*parts, NOTE]) + "\n"


def markdown_table(table: StudyTable, marks: Marks = MARKDOWN) -> str:
    """Write one table alone."""
    return markdown_lines(["Method", "Seeds", *heads(table).values()], cells(table, marks))


def markdown_lines(heads: list[str], rows: list[list[str]]) -> str:
    """Write rows of escaped words below their heads."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [heads, rule, *rows])


# -- LaTeX


def as_latex(tables: Tables, against: str | None = None) -> str:
    """Write each table for LaTeX's booktabs package, its protocol as a comment before it.

    pdfLaTeX sets every name in Latin script; names in other scripts take LuaLaTeX and a font.
    """
    parts = [latex_comment(apart(tables))] * bool(apart(tables))
    for table in tables:
        names = list(heads(table).values())
        body = latex_table(["Method", "Seeds", *names], cells(table, LATEX), table.scenario)
        parts.append(f"{latex_comment(where(table, str))}\n{body}")
        if against is not None:
            rows = difference_cells(table, against, for_latex)
            body = latex_table(["Method", *names], rows, table.scenario)
            parts.append(f"{latex_comment(DIFFERENCES.format(against))}\n{body}")
    return "\n".join([*parts, f"{latex_comment(NOTE)}\n"])


def latex_table(heads: list[str], rows: list[list[str]], scenario: str, *, words: int = 0) -> str:
    """Write rows of escaped words for booktabs; the last columns may be words too."""
    columns = [for_latex(head) for head in heads]
    numbers = len(columns) - 1 - words
    frame = pd.DataFrame(rows, columns=columns)
    aligned = "l" + "r" * numbers + "l" * words
    body = frame.to_latex(index=False, escape=False, column_format=aligned)
    if not scenario:
        return body
    above = (
        f"\\toprule\n\\multicolumn{{{len(columns)}}}{{l}}{{{for_latex(scenario)}}} \\\\\n\\midrule"
    )
    return body.replace("\\toprule", above, 1)


def latex_comment(text: str) -> str:
    """Write a sentence as a comment of LaTeX in ASCII."""
    return comment_for_latex(text.replace("±", "+-").replace("ε", "epsilon"))


# -- HTML


def as_html(tables: Tables, against: str | None = None) -> str:
    """Write a page of its own that asks nothing of the network."""
    parts = [f"<p>{for_html(apart(tables))}</p>"] * bool(apart(tables))
    for table in tables:
        names = list(heads(table).values())
        parts.append(f"<p>{where(table, for_html)}</p>")
        parts.append(html_table(["Method", "Seeds", *names], cells(table, HTML)))
        if against is not None:
            rows = difference_cells(table, against, for_html)
            parts.append(f"<p>{for_html(DIFFERENCES.format(against))}</p>")
            parts.append(html_table(["Method", *names], rows))
    body = "\n".join([*parts, f"<p>{for_html(NOTE)}</p>"])
    return f"{_HTML_HEAD}\n{body}\n</body></html>\n"


_HTML_HEAD = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Study</title><style>\n'
    "body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color-scheme: light dark }\n"
    "table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .25rem .7rem }\n"
    "thead { border-block: 2px solid } tbody { border-bottom: 2px solid }\n"
    "td:not(:first-child), th:not(:first-child) { text-align: right }\n"
    "td { white-space: nowrap }\n</style></head><body>"
)


def html_table(heads: list[str], rows: list[list[str]]) -> str:
    """Write rows of escaped words below their heads."""
    head = "".join(f'<th scope="col">{for_html(one)}</th>' for one in heads)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


# -- for programs


def as_csv(tables: Tables, against: str | None = None) -> str:
    """Write one line per row with its scenario and protocol; shares of 1, nothing rounded."""
    frames = [
        _plain(table, against).assign(scenario=table.scenario, protocol=in_words(table.protocol))
        for table in tables
    ]
    return frame_for_csv(pd.concat(frames) if frames else pd.DataFrame()).to_csv(index=False)


def as_json(tables: Tables, against: str | None = None) -> str:
    """Write one JSON object; shares of 1, null where there is no number."""
    found = [
        {
            "scenario": table.scenario,
            "protocol": dict(table.protocol),
            "rows": json.loads(_plain(table, against).to_json(orient="records")),
        }
        for table in tables
    ]
    return for_json({"tables": found}) + "\n"


def _plain(table: StudyTable, against: str | None) -> pd.DataFrame:
    """Return the rows, and of each measure the difference to a reference and its p-value.

    The reference is ``against``, or what has the least mean of that measure.
    """
    added: dict[str, pd.Series[float]] = {}
    for name in MEASURES:
        found = contest(table.rows, name, against)
        rivals = {rival.title: rival for rival in (found.rivals if found else ())}
        for end in ("value", "low", "high"):
            told = {title: getattr(one.difference, end) for title, one in rivals.items()}
            column = f"{name}_difference" + ("" if end == "value" else f"_{end}")
            added[column] = table.rows["title"].map(told).astype("float64")
        p_values = {title: one.p_value for title, one in rivals.items()}
        added[f"{name}_p"] = table.rows["title"].map(p_values).astype("float64")
    plain = table.rows.drop(columns=["runs", *(f"{name}_values" for name in MEASURES)])
    return pd.concat([plain, pd.DataFrame(added)], axis=1)


FORMATS: Mapping[str, Callable[[Tables, str | None], str]] = {
    "markdown": as_markdown,
    "latex": as_latex,
    "html": as_html,
    "csv": as_csv,
    "json": as_json,
}
