"""The list of runs: which of them, in which words and columns."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from app.page import title_of
from app.run_line import time_left
from app.words import NOTHING, STATUSES, ago, count, literal, percent, tagged
from db.rows import RunRow

PILLS = {
    "queued": "#94a4a2",
    "running": "#3f90da",
    "stopping": "#e69f00",
    "interrupted": "#e69f00",
    "succeeded": "#2e9e5b",
    "failed": "#d1493f",
    "cancelled": "#8e6bbf",
    "deleting": "#94a4a2",
}

GROUPS: dict[str, tuple[str, ...]] = {
    "active": ("queued", "running", "stopping", "interrupted"),
    "finished": ("succeeded",),
    "failed": ("failed",),
    "stopped": ("cancelled",),
}

_error = st.column_config.NumberColumn

COLUMNS = {
    "status": st.column_config.MultiselectColumn(
        "Status",
        options=[tagged(name) for name in STATUSES],
        color=[PILLS[name] for name in STATUSES],
        width=130,
    ),
    "name": st.column_config.TextColumn("Name", width=230),
    "progress": st.column_config.ProgressColumn(
        "Progress", format="percent", min_value=0.0, max_value=1.0, width=120
    ),
    "time_left": st.column_config.TextColumn("Time left", width=110),
    "method": st.column_config.TextColumn("Method"),
    "dataset": st.column_config.TextColumn("Dataset"),
    "seed": st.column_config.NumberColumn("Seed", format="%d", width=60),
    "natural_error": _error("Natural error", format="percent", help="Average over all images"),
    "robust_error": _error(
        "Robust error", format="percent", help="Wrong with or without an attack, average"
    ),
    "worst_robust_error": _error(
        "Worst class", format="percent", help="Robust error of the class where it is largest"
    ),
    "measured_on": st.column_config.TextColumn(
        "Measured on", help="Test data once the run is finished, until then validation data"
    ),
    "created": st.column_config.TextColumn("Created"),
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
    """Return one row per run; errors are shares of 1."""
    rows = [
        {
            "status": [tagged(run.status)],
            "name": title_of(run),
            "progress": run.progress,
            "time_left": time_left(run),
            "method": run.method,
            "dataset": run.dataset,
            "seed": run.seed,
            "natural_error": run.natural_error,
            "robust_error": run.robust_error,
            "worst_robust_error": run.worst_robust_error,
            "measured_on": run.result_split or NOTHING,
            "created": ago(run.created_at),
        }
        for run in runs
    ]
    return pd.DataFrame(rows)


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
