"""What the page on class fairness says before it draws."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from app.compare.fairness import LEVEL, Rise
from app.text.format import count, percent, points
from app.text.labels import metric
from app.text.markdown import literal


def one_run(found: pd.DataFrame, name: str) -> tuple[str, str]:
    """Say who pays in one run, as a headline and its uncertainty; of `spreads`' rows."""
    row = found[found["name"] == name].to_dict("records")[0]
    called = metric(name).lower()
    return (
        f"Worst class: {row['worst_class']}, {percent(row['worst'], 0)} {called}, "
        f"{points(row['worst'] - row['average'])} over the average",
        f"{_interval(row)}. Average {percent(row['average'])}; gap between worst and best class "
        f"{points(row['gap'], 1).lstrip('+')}; NSD {row['nsd']:.2f}. One seed ({row['seed']}): "
        "another one may tell another story.",
    )


def several_runs(found: pd.DataFrame, name: str) -> tuple[str, str]:
    """Rank runs of one protocol by their worst class, as a headline and its uncertainty."""
    rows = found[found["name"] == name].sort_values("worst").to_dict("records")
    best, next_best, last = rows[0], rows[1], rows[-1]
    called = metric(name).lower()
    overlap = best["worst_high"] > next_best["worst_low"]
    doubt = (
        f"Its interval overlaps that of {next_best['title']} "
        f"({percent(next_best['worst'], 0)}), so the order may be chance. "
        if overlap
        else ""
    )
    return (
        f"{best['title']} spares its worst class most: {percent(best['worst'], 0)} {called} in "
        f"class {best['worst_class']}; {last['title']} least: {percent(last['worst'], 0)} in class "
        f"{last['worst_class']}",
        f"{_interval(best)}. {doubt}Seeds: {', '.join(str(row['seed']) for row in rows)}.",
    )


def _interval(row: Mapping[Any, Any]) -> str:
    low, high = (percent(row[f"worst_{end}"], 0) for end in ("low", "high"))
    return f"95 % interval {low} to {high} (Wilson, n = {row['worst_n']:,})"


def collapse(rise: Rise | None, name: str) -> str:
    """Say when a class lost most from one epoch to the next."""
    if rise is None:
        return "No class lost anything from one epoch to the next."
    return (
        f"Largest loss in class {rise.name}: from epoch {rise.before} to {rise.epoch}, "
        f"{percent(rise.start, 0)} to {percent(rise.end, 0)} {metric(name).lower()}."
    )


def compared(table: pd.DataFrame, base: str) -> str:
    """Say in which classes runs differ from a baseline, as a headline."""
    tests = count(len(table), "test")
    sure = table[table["differs"]]
    if sure.empty:
        return f"No class differs from {base} beyond chance ({tests}, corrected p < {LEVEL:g})"
    worse, better = (sure["value"] > 0).sum(), (sure["value"] < 0).sum()
    parts = [f"{worse} worse" if worse else "", f"{better} better" if better else ""]
    told = " and ".join(part for part in parts if part)
    where = sure.sort_values("value", key=abs).iloc[-1]
    return (
        f"Beyond chance {told} than {base} of {tests}; most of all class {where['class']} in "
        f"{where['title']}: {points(float(where['value']))}"
    )


def gained(rhos: Mapping[str, float]) -> str:
    """Say what each run gains in fairness for what it pays, against the baseline."""
    told = "; ".join(f"{title}: {value:+.2f}" for title, value in rhos.items())
    return (
        f"rho, the relative gain of the worst class's accuracy plus that of the average's: {told}."
    )


def not_alike(told: list[str]) -> str:
    """Warn that results have different protocols, and in what; escaped for Markdown."""
    return (
        "These runs were not measured alike, so they stand side by side but are not ranked. "
        f"They differ in {literal('; '.join(told))}."
    )
