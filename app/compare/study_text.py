"""The table of a study as text: Markdown, LaTeX, CSV and JSON."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from app.compare.contest import contest
from app.compare.protocol import differences, in_words
from app.compare.study import DIGITS, StudyTable, best
from app.text.evaluation_card import threat_of, under
from app.text.format import NOTHING
from db.reads.comparison import EVERY_OVERALL
from tasks.escaping import comment_for_latex, for_json, for_latex, for_markdown, frame_for_csv

HEADERS = {
    "natural_error": "Natural, average",
    "worst_natural_error": "Natural, worst",
    "boundary_error": "Boundary, average",
    "worst_boundary_error": "Boundary, worst",
    "robust_error": "Robust, average",
    "worst_robust_error": "Robust, worst",
}
"""The columns, in their order; average over images, worst of the classes."""

NOTE = (
    "Test errors in percent, mean ± standard deviation over seeds; average over all images and "
    "worst class; smallest mean of a column in bold, in italics what three or more common seeds do "
    "not tell from it (paired t-test, Holm, 5 %). A single seed has no deviation."
)


def as_markdown(tables: Sequence[StudyTable]) -> str:
    """Write each table below its protocol, and a note on what stands there."""
    parts = [for_markdown(apart(tables))] if len(tables) > 1 else []
    for table in tables:
        parts += [f"Protocol: {for_markdown(in_words(table.protocol))}.", markdown_table(table)]
    return "\n\n".join([*parts, NOTE]) + "\n"


def markdown_table(table: StudyTable, escaped: Callable[[str], str] = for_markdown) -> str:
    """Write one table alone; ``escaped`` makes of a name what Markdown shows as it is."""
    heads = ["Method", "Seeds", *headers(table).values()]
    rule = ["---", *["---:"] * (len(heads) - 1)]
    lines = [heads, rule, *_cells(table, escaped, ("**{}**", "*{}*"), between=" ± ")]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_latex(tables: Sequence[StudyTable]) -> str:
    """Write each table for LaTeX's booktabs package, its protocol as a comment before it."""
    parts = [_latex_comment(apart(tables))] if len(tables) > 1 else []
    for table in tables:
        cells = _cells(table, for_latex, ("\\textbf{{{}}}", "\\textit{{{}}}"), between=" $\\pm$ ")
        frame = pd.DataFrame(cells, columns=["Method", "Seeds", *headers(table).values()])
        columns = "l" + "r" * (len(HEADERS) + 1)
        body = frame.to_latex(index=False, escape=False, column_format=columns)
        parts.append(f"{_latex_comment(f'Protocol: {in_words(table.protocol)}')}\n{body}")
    return "\n".join([*parts, f"{_latex_comment(NOTE)}\n"])


def _latex_comment(text: str) -> str:
    return comment_for_latex(text.replace("±", "+-").replace("ε", "epsilon"))


def as_csv(tables: Sequence[StudyTable]) -> str:
    """Write one line per scenario with its protocol; shares of 1, nothing rounded."""
    frames = [_plain(table).assign(protocol=in_words(table.protocol)) for table in tables]
    return frame_for_csv(pd.concat(frames) if frames else pd.DataFrame()).to_csv(index=False)


def as_json(tables: Sequence[StudyTable]) -> str:
    """Write one JSON object; shares of 1, null where there is no number."""
    found = [
        {
            "protocol": dict(table.protocol),
            "rows": json.loads(_plain(table).to_json(orient="records")),
        }
        for table in tables
    ]
    return for_json({"tables": found}) + "\n"


FORMATS: Mapping[str, Callable[[Sequence[StudyTable]], str]] = {
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
    "json": as_json,
}


def _plain(table: StudyTable) -> pd.DataFrame:
    """Return the rows with the p-value of each against the best, corrected, for each error."""
    rows = table.rows.drop(columns=[f"{name}_values" for name in EVERY_OVERALL])
    for name in EVERY_OVERALL:
        found = contest(table.rows, name)
        told = {rival.title: rival.p_value for rival in found.rivals} if found else {}
        rows[f"{name}_p"] = rows["title"].map(told).astype("float64")
    return rows


def apart(tables: Sequence[StudyTable]) -> str:
    """Say that there is more than one protocol, and what differs."""
    told = "; ".join(differences([table.protocol for table in tables]))
    return (
        f"These results were measured in {len(tables)} ways and are ranked within each only. "
        f"What differs is {told}."
    )


def headers(table: StudyTable) -> dict[str, str]:
    """Return the heads of the columns of errors, norm and radius beside what an attack decides."""
    attacked = under(threat_of({}, table.protocol))
    return {
        name: head if "natural" in name else f"{head}{attacked}" for name, head in HEADERS.items()
    }


def _cells(
    table: StudyTable, escaped: Callable[[str], str], marked: tuple[str, str], *, between: str
) -> list[list[str]]:
    """Return the words of each row: method, number of seeds, then each error.

    ``marked`` writes the best of a column, and what is not to be told from it.
    """
    marks = {name: _marks(table, name, marked) for name in HEADERS}
    return [
        [
            escaped(row["title"]),
            str(row["n"]),
            *(_cell(row, name, between, written=marks[name][place]) for name in HEADERS),
        ]
        for place, row in enumerate(table.rows.to_dict("records"))
    ]


def _marks(table: StudyTable, name: str, marked: tuple[str, str]) -> list[Callable[[str], str]]:
    """Return how each row writes its mean of one error."""
    found = contest(table.rows, name)
    rivals = found.rivals if found else ()
    alike = {rival.title for rival in rivals if rival.p_value == rival.p_value}
    alike -= {rival.title for rival in rivals if rival.is_behind}
    return [
        marked[0].format if first else marked[1].format if title in alike else str
        for title, first in zip(table.rows["title"], best(table.rows, name), strict=True)
    ]


def _cell(row: Mapping[Any, Any], name: str, between: str, *, written: Callable[[str], str]) -> str:
    mean, sd = row[name], row[f"{name}_sd"]
    if mean != mean:  # NaN is the only number unlike itself
        return NOTHING
    deviation = "" if sd != sd else f"{between}{100 * sd:.{DIGITS}f}"
    return f"{written(f'{100 * mean:.{DIGITS}f}')}{deviation}"
