"""The report of several finished runs side by side."""

from collections.abc import Iterator, Sequence

import pandas as pd

from app.charts.base import MAX_CLASSES, charts
from app.compare import fairness as tables
from app.compare import runs as comparison
from app.compare import tradeoff
from app.compare import words as say
from app.compare.protocol import differences, in_words
from app.compare.runs import Finished
from app.data import cached
from app.report.document import Document, Drawing, Section, table_of
from app.scenario.toml_out import as_toml
from app.text.format import count
from app.text.labels import metric


def comparison_report(runs: Sequence[Finished], name: str) -> bytes:
    """Return the comparison of runs as an HTML file.

    Args:
        runs: At least one; class by class only those are compared that share the first one's
            classes, and as many as make a readable chart.
        name: The error that is compared: one of `app.text.palette.ERRORS`.
    """
    title = f"{metric(name)} of {count(len(runs), 'run')}"
    subtitle = "; ".join(run.label for run in runs)
    return Document(title, subtitle, list(_sections(list(runs), name))).html()


def _sections(runs: list[Finished], name: str) -> Iterator[Section]:
    same = [run for run in runs if run.class_names == runs[0].class_names][: tables.MAX_RUNS]
    table = tables.class_table(same)
    alike = not differences([run.protocol for run in runs])
    if len(table):
        yield from _classes(same, table, name)
    if len(same) > 1:
        yield from _differences(same, name)
    if alike:
        yield from _tradeoff(runs)
    yield _protocols(runs)
    for run in runs:
        found = cached.run(run.id)
        if found is not None:
            yield Section(f"Scenario of {run.label}", code=as_toml(found.scenario))


def _classes(runs: list[Finished], table: pd.DataFrame, name: str) -> Iterator[Section]:
    found, told = tables.spreads(table), differences([run.protocol for run in runs])
    if told:
        lines = [f"Not measured alike, so not ranked. They differ in {'; '.join(told)}."]
    else:
        lines = list((say.one_run if len(runs) == 1 else say.several_runs)(found, name))
    errors = table[table["name"] == name]
    worst = errors.groupby("class_index")["value"].mean().nlargest(MAX_CLASSES).index
    kind, drawn = ("class_errors", table) if len(runs) == 1 else ("class_comparison", errors)
    figure = charts()[kind].draw(drawn[drawn["class_index"].isin(worst)])
    title = f"{metric(name)} by class on test data; whiskers are 95 % intervals"
    wide = tables.wide(table).drop(columns=["run_id", "class_index"])
    shares = [column for column in wide.columns if "error" in column]
    yield Section("Errors by class", lines, [Drawing(title, title, figure)], table_of(wide, shares))
    kept = ["title", "worst_class", "worst", "average", "gap", "nsd", "seed", "n"]
    spread = table_of(found[found["name"] == name][kept], ["worst", "average", "gap"])
    note = "NSD: standard deviation of the class-wise errors over their mean; 0 is equal treatment."
    yield Section("Worst, average, gap", [note], table=spread)


def _differences(runs: list[Finished], name: str) -> Iterator[Section]:
    table, why_not = tables.difference_table(runs[0], runs[1:], name)
    lines = [f"Not compared image by image: {line}." for line in why_not]
    if table.empty:
        yield Section("Difference to the first run", lines)
        return
    title = f"Difference in {metric(name).lower()} to {runs[0].label}, class by class"
    drawing = Drawing(title, title, charts()["class_difference"].draw(table))
    how = "Exact McNemar test per class, corrected for all tests of the chart (Holm)."
    lines = [say.compared(table, runs[0].label), how, *lines]
    kept = table[["title", "class", "value", "low", "high", "corrected", "differs", "n"]]
    shown = table_of(kept.astype({"differs": object}), ["value", "low", "high"])
    yield Section("Difference to the first run", lines, [drawing], shown)


def _tradeoff(runs: list[Finished]) -> Iterator[Section]:
    table = tradeoff.points(runs, comparison.accuracies_under(runs), "average")
    if table.empty:
        return
    figure = charts()["tradeoff"].draw(tradeoff.drawn(table, "average", same_scale=False))
    title = "Natural against robust accuracy on test data; whiskers from smallest to largest seed"
    kept = table[["title", "method", "n", "seeds", *tradeoff.QUANTITIES, "front"]]
    yield Section(
        "Trade-off",
        ["Runs that differ in nothing but the seed are one point."],
        [Drawing(title, title, figure)],
        table_of(kept.astype({"front": object}), tradeoff.QUANTITIES),
    )


def _protocols(runs: list[Finished]) -> Section:
    rows = [{"run": run.label, "id": run.id, "protocol": in_words(run.protocol)} for run in runs]
    return Section("Evaluation cards", table=table_of(pd.DataFrame(rows)))
