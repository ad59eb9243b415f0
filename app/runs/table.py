"""The list of runs: in which words and columns."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from app.components.page import title_of
from app.text.evaluation_card import threat_in_training, threat_of, under
from app.text.format import NOTHING, ago, count, percent
from app.text.labels import STATUSES, tagged
from app.text.markdown import literal
from app.text.progress import time_left
from db.models import ACTIVE, HELD, RunStatus
from db.reads.listing import Overview
from db.reads.rows import RunRow
from engine.data.config import DataConfig
from engine.data.preparation import training_counts
from engine.names import visible
from engine.realised import imbalance_factor

PILLS = {
    "queued": "#66727f",
    "running": "#2a6fb8",
    "stopping": "#a86200",
    "interrupted": "#a86200",
    "lost": "#a86200",
    "succeeded": "#23804a",
    "failed": "#c03a30",
    "cancelled": "#7a55ad",
    "deleting": "#66727f",
}

_ENDS: dict[str, tuple[RunStatus, ...]] = {
    "finished": (RunStatus.SUCCEEDED,),
    "failed": (RunStatus.FAILED,),
    "stopped": (RunStatus.CANCELLED,),
}
GROUPS: dict[str, tuple[RunStatus, ...]] = {"active": ACTIVE, **_ENDS}


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
    "time_left": st.column_config.TextColumn("Time left", width=72),
    "method": st.column_config.TextColumn("Method", width=90),
    "scenario": st.column_config.TextColumn(
        "Scenario",
        width=140,
        help="Dataset, label noise, class imbalance",
    ),
    "threat": st.column_config.TextColumn(
        "Threat",
        width=96,
        help="Norm and radius in which the errors are measured, and those of training if others",
    ),
    "curve": st.column_config.LineChartColumn(
        "Robust accuracy",
        width=104,
        y_min=0,
        y_max=1,
        help="On validation data, epoch by epoch; from 0 to 100 % in every row",
    ),
    "natural_error": _error("Natural error", "Average over all images"),
    "robust_error": _error("Robust error", "Wrong with or without an attack, average"),
    "worst_robust_error": _error("Worst class", "Robust error of the class where it is largest"),
    "measured_on": st.column_config.TextColumn(
        "Measured on",
        width=82,
        help="Test data once the run is finished, until then validation data",
    ),
    "seed": st.column_config.NumberColumn("Seed", format="%d", width=50),
    "created": st.column_config.TextColumn("Created", width=96),
    "tags": st.column_config.ListColumn("Tags", width=110),
    "study": st.column_config.TextColumn("Study", width=110),
    "notes": st.column_config.TextColumn("Notes", width=140, help="The first line"),
    "boundary_error": _error("Boundary error", "Right without an attack, wrong under it"),
    "worst_natural_error": _error(
        "Worst natural", "Natural error of the class where it is largest"
    ),
    "worst_boundary_error": _error(
        "Worst boundary", "Boundary error of the class where it is largest"
    ),
}
USUAL = (
    *("status", "name", "progress", "time_left", "method", "scenario", "curve"),
    *("natural_error", "robust_error", "worst_robust_error", "seed", "created", "tags"),
)
"""What is shown until somebody chooses otherwise."""


def head(column: str) -> str:
    """Return what stands above a column."""
    return str(COLUMNS[column]["label"])


def empty_columns(table: pd.DataFrame) -> set[str]:
    """Return the columns in which no row says anything, or all that they are done."""
    found = {str(name) for name in table.columns if all(map(_says_nothing, table[name]))}
    return found | ({"progress"} if (table["progress"] == 100).all() else set())


def _says_nothing(value: Any) -> bool:
    return value is None or value != value or value in ("", NOTHING) or value == []


def run_table(
    runs: list[RunRow],
    scenarios: Mapping[str, Mapping[str, Any]],
    curves: Mapping[str, list[float]],
) -> pd.DataFrame:
    """Return one row per run, as it is shown: errors and progress in percent, a curve in shares."""
    rows = [
        {
            "status": [tagged(run.shown_status)],
            "name": title_of(run),
            "progress": 100 * run.progress,
            "time_left": time_left(run),
            "method": run.method,
            "scenario": data_in_short(scenarios.get(run.id, {}), run.dataset),
            "threat": threat_in_short(scenarios.get(run.id, {})),
            "curve": curves.get(run.id),
            "natural_error": _percents(run.natural_error),
            "robust_error": _percents(run.robust_error),
            "worst_robust_error": _percents(run.worst_robust_error),
            "measured_on": run.result_split or NOTHING,
            "seed": run.seed,
            "created": ago(run.created_at),
            "tags": [visible(tag) for tag in run.tags],
            "study": visible(run.study or ""),
            "notes": visible(run.notes.split("\n")[0][:200]),
            "boundary_error": _percents(run.boundary_error),
            "worst_natural_error": _percents(run.worst_natural_error),
            "worst_boundary_error": _percents(run.worst_boundary_error),
        }
        for run in runs
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _percents(share: float | None) -> float | None:
    return None if share is None else 100 * share


def data_in_short(scenario: Mapping[str, Any], dataset: str) -> str:
    """Say a scenario's data in a few words: ``digits, pair 20 %, imbalance 10``."""
    corrupted = scenario.get("data", {})
    noise, imbalance = corrupted.get("noise") or {}, corrupted.get("imbalance") or {}
    parts = [
        dataset,
        f"{noise.get('kind')} {percent(noise['ratio'], 0)}" if noise.get("ratio") else "",
        _imbalance(scenario) if imbalance.get("factor", 1) > 1 else "",
    ]
    return ", ".join(part for part in parts if part)


def threat_in_short(scenario: Mapping[str, Any]) -> str:
    """Say a scenario's balls, first that of its errors: ``linf 8/255``."""
    trained, tested = threat_in_training(scenario), threat_of(scenario)
    return tested if tested == trained else f"{tested}, trained in {trained}"


def _imbalance(scenario: Mapping[str, Any]) -> str:
    """Say the factor, and the one that whole images give where that is another."""
    data = scenario["data"]
    asked = f"{data['imbalance']['factor']:g}"
    with_meta = scenario.get("training", {}).get("with_meta", False)
    found = _realised_factor(json.dumps(data, sort_keys=True), scenario.get("seed", 0), with_meta)
    real = asked if found is None else f"{found:.3g}"
    return f"imbalance {asked}" + ("" if real == asked else f" (realised {real})")


@lru_cache(maxsize=4096)
def _realised_factor(data: str, seed: int, with_meta: bool) -> float | None:
    try:
        config = DataConfig.model_validate_json(data)
        return imbalance_factor(training_counts(config, seed, with_meta=with_meta))
    except ValidationError:  # of another version
        return None


def say_overview(found: Overview, newest: Mapping[str, Any]) -> None:
    """Answer the page's question in words; ``newest`` is the newest result's scenario."""
    number = {group: sum(found.counts.get(name, 0) for name in _SAID[group]) for group in _SAID}
    training = number.pop("in training")
    now = f"{count(training, 'run')} in training" if training else "Nothing is in training"
    parts = [now, *(f"{many} {group}" for group, many in number.items() if many)]
    st.markdown(f"**{', '.join(parts)}.** {_newest_result(found.newest_result, newest)}")


_SAID: dict[str, tuple[RunStatus, ...]] = {
    "in training": HELD,
    "waiting": tuple(status for status in ACTIVE if status not in HELD),
    **_ENDS,
}


def _newest_result(run: RunRow | None, scenario: Mapping[str, Any]) -> str:
    if run is None or run.robust_error is None:
        return ""
    worst = percent(run.worst_robust_error)
    return (
        f"Newest result: *{literal(title_of(run))}* has {percent(run.robust_error)} robust error"
        f"{under(literal(threat_of(scenario)))} on average and {worst} in its worst class."
    )
