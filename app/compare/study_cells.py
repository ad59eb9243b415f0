"""The words in the cells of a study's table, for any format that writes tables."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.compare.contest import Rival, contest
from app.compare.measures import DIGITS, MEASURES, Measure, shown
from app.compare.study import StudyTable, best
from app.text.evaluation_card import threat_of, under
from app.text.format import NOTHING

Escaped = Callable[[str], str]

NOTE = (
    "Test errors in percent, mean ± standard deviation over seeds; average over all images and "
    "worst class; NSD is the deviation of the class errors over their mean. Smallest mean of a "
    "column in bold, in italics what three or more common seeds do not tell from it (paired "
    "t-test, Holm, 5 %). A single seed has no deviation."
)
DIFFERENCES = (
    "Differences to {}, in percentage points (NSD: as it is), negative is better: mean over common "
    "seeds with Student's 95 % interval, and the p-value of the paired t-test, corrected (Holm)."
)


@dataclass(frozen=True)
class Marks:
    """How one format writes what stands out.

    Attributes:
        escaped: What shows a name letter by letter.
        best: The smallest mean of a column, with ``{}`` in it.
        level: What is not to be told from it.
        between: Between mean and deviation.
    """

    escaped: Escaped
    best: str
    level: str
    between: str

    def with_names(self, escaped: Escaped) -> "Marks":
        """Return the same for a place where names are shown in another way."""
        return replace(self, escaped=escaped)


def heads(table: StudyTable) -> dict[str, str]:
    """Return the heads of the columns, norm and radius beside what an attack decides."""
    attacked = under(threat_of({}, table.protocol))
    return {
        name: measure.head if "natural" in name else f"{measure.head}{attacked}"
        for name, measure in _shown(table).items()
    }


def _shown(table: StudyTable) -> Mapping[str, Measure]:
    """Return the columns of a table: those that some row has."""
    columns = shown(table.num_classes)
    return {n: m for n, m in columns.items() if m.is_share or table.rows[n].notna().any()}


def cells(table: StudyTable, marks: Marks) -> list[list[str]]:
    """Return the words of each row: method, number of seeds, then each measure."""
    columns = {name: _writers(table, name, marks) for name in _shown(table)}
    return [
        [
            marks.escaped(row["title"]),
            str(row["n"]),
            *(_cell(row, name, marks, written=columns[name][place]) for name in columns),
        ]
        for place, row in enumerate(_numbers(table, columns))
    ]


def _numbers(table: StudyTable, names: Iterable[str]) -> list[dict[Any, Any]]:
    wanted = [column for name in names for column in (name, f"{name}_sd")]
    return table.rows[["title", "n", *wanted]].to_dict("records")


def _writers(table: StudyTable, name: str, marks: Marks) -> list[Escaped]:
    """Return how each row writes its mean of one measure."""
    found = contest(table.rows, name)
    rivals = found.rivals if found else ()
    alike = {rival.title for rival in rivals if rival.p_value == rival.p_value}
    alike -= {rival.title for rival in rivals if rival.is_behind}
    return [
        marks.best.format if first else marks.level.format if title in alike else str
        for title, first in zip(table.rows["title"], best(table.rows, name), strict=True)
    ]


def _cell(row: Mapping[Any, Any], name: str, marks: Marks, *, written: Escaped) -> str:
    mean, sd, scale = row[name], row[f"{name}_sd"], MEASURES[name].scale
    if mean != mean:  # NaN is the only number unlike itself
        return NOTHING
    deviation = "" if sd != sd else f"{marks.between}{scale * sd:.{DIGITS}f}"
    return f"{written(f'{scale * mean:.{DIGITS}f}')}{deviation}"


def difference_cells(table: StudyTable, against: str, escaped: Escaped) -> list[list[str]]:
    """Return each other row's differences to a reference, measure by measure."""
    columns = list(_shown(table))
    rows: dict[str, list[str]] = {}
    for place, name in enumerate(columns):
        found = contest(table.rows, name, against)
        for rival in found.rivals if found else ():
            row = rows.setdefault(rival.title, [NOTHING] * len(columns))
            row[place] = _difference(rival, MEASURES[name].scale)
    titles = [title for title in table.rows["title"] if title in rows]
    return [[escaped(title), *rows[title]] for title in titles]


def _difference(rival: Rival, scale: float) -> str:
    found = rival.difference
    if found.value != found.value:
        return NOTHING
    told = f"{scale * found.value:+.{DIGITS}f}"
    if found.low == found.low:
        low, high = (f"{scale * end:+.{DIGITS}f}" for end in (found.low, found.high))
        told += f" [{low}, {high}]"
    return f"{told}, p = {rival.p_value:.2g}" if rival.p_value == rival.p_value else told
