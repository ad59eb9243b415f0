"""The figures of a study, each from its tables, with the words that say what it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from app.charts.base import charts
from app.compare.contest import Contest, contest
from app.compare.measures import MEASURES
from app.compare.study import StudyTable, ranked
from app.compare.study_fronts import Points, lines
from app.compare.study_ranks import StudyRanks
from app.text.format import percent


@dataclass(frozen=True)
class Figure:
    """A picture and what it shows, for who cannot see it."""

    drawn: go.Figure
    alt: str


def ranking(table: StudyTable, name: str) -> Figure:
    """Draw every row with its seeds, the best on top."""
    rows = ranked(table, name)
    order = ", ".join(f"{row['rank']}. {row['title']}" for row in rows.to_dict("records"))
    alt = f"Ranking by {MEASURES[name].head}: {order}"
    return Figure(charts()["ranking"].draw(rows), alt)


def differences(table: StudyTable, found: Contest) -> Figure:
    """Draw how much more each row errs than the reference of a contest."""
    methods: Mapping[str, str] = dict(zip(table.rows["title"], table.rows["method"], strict=True))
    rows = pd.DataFrame(
        [
            {
                "title": rival.title,
                "method": methods[rival.title],
                "value": rival.difference.value,
                "low": rival.difference.low,
                "high": rival.difference.high,
                "corrected": rival.p_value,
                "differs": rival.differs,
                "n": rival.difference.n,
            }
            for rival in found.rivals
            if rival.difference.n
        ]
    )
    told = [f"{row['title']} {percent(row['value'])}" for row in rows.to_dict("records")]
    alt = f"Differences to {found.reference}: {', '.join(told)}"
    return Figure(charts()["difference_forest"].draw(rows), alt)


def classes(table: StudyTable, name: str, chart: str = "method_classes") -> Figure | None:
    """Draw the error of each row in each class; None if nobody counted them.

    Args:
        table: One scenario.
        name: One of `MEASURES`.
        chart: A heatmap, or ``method_class_lines``.
    """
    if not len(table.classes):
        return None
    known = table.classes[table.classes["name"] == MEASURES[name].error]
    if known.empty:
        return None
    order = {title: at for at, title in enumerate(table.rows["title"])}
    ordered = known.sort_values("title", key=lambda titles: titles.map(order), kind="stable")
    worst = ordered.sort_values("value").iloc[-1]
    alt = f"Error by method and class, largest: {worst['title']}, {worst['class']}"
    return Figure(charts()[chart].draw(ordered), alt)


def ranks(found: StudyRanks) -> Figure:
    """Draw average ranks with what is not told apart."""
    order = ", ".join(f"{row.title} {row.rank:.2f}" for row in found.rows.itertuples())
    return Figure(charts()["average_ranks"].draw(found.rows), f"Ranks: {order}")


def fronts(found: Points, name: str) -> Figure:
    """Draw every setting, and what those of each method attain."""
    return Figure(charts()["fronts"].draw(lines(found)), f"Fronts: {MEASURES[name].head.lower()}")


def of_study(
    kind: str, tables: Sequence[StudyTable], *, name: str, against: str | None
) -> Figure | None:
    """Return a figure of the first table by its kind; None where there is nothing to draw.

    Args:
        kind: ranking, differences, classes, class-lines or ranks.
        tables: Of the scenario that is asked for first, then the others.
        name: One of `MEASURES`.
        against: Title of the reference of differences; None is the best.
    """
    from app.compare.study_ranks import study_ranks

    table = tables[0]
    if kind == "ranking":
        return ranking(table, name)
    if kind == "classes":
        return classes(table, name)
    if kind == "class-lines":
        return classes(table, name, "method_class_lines")
    if kind == "ranks":
        over_all = study_ranks(tables, name)
        return None if over_all is None else ranks(over_all)
    found = contest(table.rows, name, against)
    return None if found is None else differences(table, found)
