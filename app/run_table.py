"""The list of runs: which of them, in which words and columns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from app.page import title_of
from app.run_line import time_left
from app.words import NOTHING, STATUSES, ago, count, literal, percent, tagged
from db.rows import RunRow

PILLS = {
    "queued": "#66727f",
    "running": "#2a6fb8",
    "stopping": "#a86200",
    "interrupted": "#a86200",
    "succeeded": "#23804a",
    "failed": "#c03a30",
    "cancelled": "#7a55ad",
    "deleting": "#66727f",
}

GROUPS: dict[str, tuple[str, ...]] = {
    "active": ("queued", "running", "stopping", "interrupted"),
    "finished": ("succeeded",),
    "failed": ("failed",),
    "stopped": ("cancelled",),
}


def _error(label: str, explained: str) -> Any:
    return st.column_config.NumberColumn(label, format="%.1f %%", width=88, help=explained)


COLUMNS = {
    "status": st.column_config.MultiselectColumn(
        "Status",
        options=[tagged(name) for name in STATUSES],
        color=[PILLS[name] for name in STATUSES],
        width=105,
    ),
    "name": st.column_config.TextColumn("Name", width=150),
    "progress": st.column_config.ProgressColumn(
        "Progress", format="%d %%", min_value=0, max_value=100, width=88
    ),
    "time_left": st.column_config.TextColumn("Time left", width=76),
    "method": st.column_config.TextColumn("Method", width=125),
    "dataset": st.column_config.TextColumn("Dataset", width=100),
    "seed": st.column_config.NumberColumn("Seed", format="%d", width=50),
    "natural_error": _error("Natural error", "Average over all images"),
    "robust_error": _error("Robust error", "Wrong with or without an attack, average"),
    "worst_robust_error": _error("Worst class", "Robust error of the class where it is largest"),
    "measured_on": st.column_config.TextColumn(
        "Measured on",
        width=82,
        help="Test data once the run is finished, until then validation data",
    ),
    "created": st.column_config.TextColumn("Created", width=80),
}


@dataclass(frozen=True)
class RunFilter:
    """Which runs are wanted; an empty list wants all."""

    text: str
    statuses: list[str]
    methods: list[str]
    datasets: list[str]


def filtered(runs: list[RunRow], wanted: RunFilter) -> list[RunRow]:
    """Return the runs that meet every filter, in their order."""
    statuses = [name for group in wanted.statuses for name in GROUPS[group]]
    words = wanted.text.casefold().split()
    tests: list[tuple[list[str], Callable[[RunRow], str]]] = [
        (statuses, lambda run: str(run.status)),
        (wanted.methods, lambda run: run.method),
        (wanted.datasets, lambda run: run.dataset),
    ]
    return [
        run
        for run in runs
        if all(not allowed or value_of(run) in allowed for allowed, value_of in tests)
        and all(word in f"{title_of(run)} {run.id}".casefold() for word in words)
    ]


def run_table(runs: list[RunRow]) -> pd.DataFrame:
    """Return one row per run, as it is shown: errors and progress in percent."""
    rows = [
        {
            "status": [tagged(run.status)],
            "name": title_of(run),
            "progress": 100 * run.progress,
            "time_left": time_left(run),
            "natural_error": _percents(run.natural_error),
            "robust_error": _percents(run.robust_error),
            "worst_robust_error": _percents(run.worst_robust_error),
            "measured_on": run.result_split or NOTHING,
            "method": run.method,
            "dataset": run.dataset,
            "created": ago(run.created_at),
            "seed": run.seed,
        }
        for run in runs
    ]
    return pd.DataFrame(rows)


def _percents(share: float | None) -> float | None:
    return None if share is None else 100 * share


def say_overview(runs: list[RunRow]) -> None:
    """Answer the page's question in words."""
    training = [run for run in runs if run.status in ("running", "stopping")]
    waiting = sum(run.status in ("queued", "interrupted") for run in runs)
    finished = [run for run in runs if run.status == "succeeded"]
    failed = sum(run.status == "failed" for run in runs)
    now = f"{count(len(training), 'run')} in training" if training else "Nothing is in training"
    parts = [now, f"{waiting} waiting", f"{len(finished)} finished", f"{failed} failed"]
    kept = [part for part in parts if not part.startswith("0 ")]
    st.markdown(f"**{', '.join(kept)}.** {_latest_result(finished)}")


def _latest_result(finished: list[RunRow]) -> str:
    ended = [run for run in finished if run.ended_at is not None and run.robust_error is not None]
    if not ended:
        return ""
    run = max(ended, key=lambda run: run.ended_at or run.created_at)
    worst = percent(run.worst_robust_error)
    return (
        f"Newest result: *{literal(title_of(run))}* has {percent(run.robust_error)} robust error "
        f"on average and {worst} in its worst class."
    )
