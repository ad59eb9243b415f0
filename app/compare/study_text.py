"""The table of a study as text: Markdown, LaTeX, CSV and JSON."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from app.compare.contest import Rival, contest
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


DIFFERENCES = (
    "Differences to {}, in percentage points, negative is better: mean over common seeds with "
    "Student's 95 % interval, and the p-value of the paired t-test, corrected (Holm)."
)


def as_markdown(tables: Sequence[StudyTable], against: str | None = None) -> str:
    """Write each table below its protocol, and a note on what stands there.

    With ``against`` a table of differences to that scenario stands below each.
    """
    parts = [for_markdown(apart(tables))] if len(tables) > 1 else []
    for table in tables:
        parts += [f"Protocol: {for_markdown(in_words(table.protocol))}.", markdown_table(table)]
        if against is not None:
            parts += [DIFFERENCES.format(for_markdown(against)), _differences(table, against)]
    return "\n\n".join([*parts, NOTE]) + "\n"


def markdown_table(table: StudyTable, escaped: Callable[[str], str] = for_markdown) -> str:
    """Write one table alone; ``escaped`` makes of a name what Markdown shows as it is."""
    heads = ["Method", "Seeds", *headers(table).values()]
    return _as_markdown(heads, _cells(table, escaped, ("**{}**", "*{}*"), between=" ± "))


def _as_markdown(heads: list[str], rows: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [heads, rule, *rows])


def _differences(table: StudyTable, against: str) -> str:
    rows = _difference_cells(table, against, for_markdown, interval="[{}, {}]")
    return _as_markdown(["Method", *headers(table).values()], rows)


def _difference_cells(
    table: StudyTable, against: str, escaped: Callable[[str], str], *, interval: str
) -> list[list[str]]:
    """Return each other scenario's differences to a reference, in points, error by error."""
    cells: dict[str, list[str]] = {}
    for place, name in enumerate(HEADERS):
        found = contest(table.rows, name, against)
        for rival in found.rivals if found else ():
            row = cells.setdefault(rival.title, [NOTHING] * len(HEADERS))
            row[place] = _difference(rival, interval)
    return [[escaped(title), *row] for title, row in sorted(cells.items())]


def _difference(rival: Rival, interval: str) -> str:
    found = rival.difference
    if found.value != found.value:
        return NOTHING
    told = f"{100 * found.value:+.{DIGITS}f}"
    if found.low == found.low:
        ends = (f"{100 * end:+.{DIGITS}f}" for end in (found.low, found.high))
        told += f" {interval.format(*ends)}"
    return f"{told}, p = {rival.p_value:.2g}" if rival.p_value == rival.p_value else told


def as_latex(tables: Sequence[StudyTable], against: str | None = None) -> str:
    """Write each table for LaTeX's booktabs package, its protocol as a comment before it."""
    parts = [_latex_comment(apart(tables))] if len(tables) > 1 else []
    for table in tables:
        cells = _cells(table, for_latex, ("\\textbf{{{}}}", "\\textit{{{}}}"), between=" $\\pm$ ")
        frame = pd.DataFrame(cells, columns=["Method", "Seeds", *headers(table).values()])
        columns = "l" + "r" * (len(HEADERS) + 1)
        body = frame.to_latex(index=False, escape=False, column_format=columns)
        parts.append(f"{_latex_comment(f'Protocol: {in_words(table.protocol)}')}\n{body}")
        if against is not None:
            rows = _difference_cells(table, against, for_latex, interval="[{}, {}]")
            frame = pd.DataFrame(rows, columns=["Method", *headers(table).values()])
            body = frame.to_latex(index=False, escape=False, column_format=columns[:-1])
            parts.append(f"{_latex_comment(DIFFERENCES.format(against))}\n{body}")
    return "\n".join([*parts, f"{_latex_comment(NOTE)}\n"])


def _latex_comment(text: str) -> str:
    return comment_for_latex(text.replace("±", "+-").replace("ε", "epsilon"))


def as_csv(tables: Sequence[StudyTable], against: str | None = None) -> str:
    """Write one line per scenario with its protocol; shares of 1, nothing rounded."""
    frames = [_plain(table, against).assign(protocol=in_words(table.protocol)) for table in tables]
    return frame_for_csv(pd.concat(frames) if frames else pd.DataFrame()).to_csv(index=False)


def as_json(tables: Sequence[StudyTable], against: str | None = None) -> str:
    """Write one JSON object; shares of 1, null where there is no number."""
    found = [
        {
            "protocol": dict(table.protocol),
            "rows": json.loads(_plain(table, against).to_json(orient="records")),
        }
        for table in tables
    ]
    return for_json({"tables": found}) + "\n"


FORMATS: Mapping[str, Callable[[Sequence[StudyTable], str | None], str]] = {
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
    "json": as_json,
}


def _plain(table: StudyTable, against: str | None) -> pd.DataFrame:
    """Return the rows, and of each error the difference to a reference and its corrected p-value.

    The reference is ``against``, or what has the least mean of that error.
    """
    rows = table.rows.drop(columns=[f"{name}_values" for name in EVERY_OVERALL])
    for name in EVERY_OVERALL:
        found = contest(table.rows, name, against)
        rivals = {rival.title: rival for rival in (found.rivals if found else ())}
        for end in ("value", "low", "high"):
            told = {title: getattr(one.difference, end) for title, one in rivals.items()}
            column = f"{name}_difference" + ("" if end == "value" else f"_{end}")
            rows[column] = rows["title"].map(told).astype("float64")
        p_values = {title: one.p_value for title, one in rivals.items()}
        rows[f"{name}_p"] = rows["title"].map(p_values).astype("float64")
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
