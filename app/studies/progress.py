"""Where a study is: how many runs stand where, and each of them by method and seed."""

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from app.text.format import ago, count, duration
from app.text.labels import STATUSES, tagged
from app.text.markdown import literal
from db.models import RunStatus
from db.reads.comparison import CellNames
from db.reads.rows import RunRow
from db.studies import StudyRow

FEW_RUNS = 60
"""That stand on the page unfolded."""
FEW_FAILED = 5
"""That are named."""
COLUMNS = {
    "study": st.column_config.TextColumn("Study", width=260),
    "state": st.column_config.TextColumn("State", width=230),
    "done": st.column_config.TextColumn("Finished", width=80),
    "progress": st.column_config.ProgressColumn(
        "Progress", format="%d %%", min_value=0, max_value=100, width=120
    ),
    "changed": st.column_config.TextColumn("Last change", width=110),
}


def study_table(studies: Sequence[StudyRow]) -> pd.DataFrame:
    """Return one row per study, as it is shown: progress in percent."""
    return pd.DataFrame(
        [
            {
                "study": study.name,
                "state": in_words(study.statuses),
                "done": f"{study.statuses.get(RunStatus.SUCCEEDED, 0)} of {study.total}",
                "progress": 100 * study.progress,
                "changed": ago(study.changed_at),
            }
            for study in studies
        ]
    )


def in_words(statuses: Mapping[RunStatus, int]) -> str:
    """Say how many runs stand where: ``▶ 1 running, ○ 3 queued``."""
    return ", ".join(
        f"{STATUSES[status].symbol} {number} {STATUSES[status].label.lower()}"
        for status in RunStatus
        if (number := statuses.get(status, 0))
    )


def draw_progress(study: StudyRow, runs: Sequence[RunRow], cells: Mapping[str, CellNames]) -> None:
    """Draw a bar over all epochs, and what failed.

    Args:
        study: Which one.
        runs: Its runs, newest first.
        cells: What its file calls them, by their ids.
    """
    done = study.statuses.get(RunStatus.SUCCEEDED, 0)
    st.progress(
        study.progress,
        text=literal(
            f"{done} of {count(study.total, 'run')} finished, {100 * study.progress:.0f} % of all "
            f"epochs · {in_words(study.statuses)}"
        ),
    )
    _say_failed([run for run in runs if run.status is RunStatus.FAILED], cells)


def draw_runs(runs: Sequence[RunRow], cells: Mapping[str, CellNames]) -> None:
    """Draw the table of methods by seeds that leads to each run; of many folded away."""
    with st.expander(f"Every run: {len(runs):,}", expanded=len(runs) <= FEW_RUNS):
        st.markdown(grid(runs, cells))


def _say_failed(failed: Sequence[RunRow], cells: Mapping[str, CellNames]) -> None:
    if not failed:
        return
    named = ", ".join(
        f"[{literal(_called(run, cells))}, seed {run.seed}](run?id={run.id})"
        for run in failed[:FEW_FAILED]
    )
    more = f" and {len(failed) - FEW_FAILED} more" if len(failed) > FEW_FAILED else ""
    st.warning(f"Failed, and not in the tables: {named}{more}.", icon=":material/error:")


def _called(run: RunRow, cells: Mapping[str, CellNames]) -> str:
    """Return a run's method and scenario as the file calls them, or its method."""
    cell = cells.get(run.id)
    return run.method if cell is None else ", ".join(filter(None, (cell.method, cell.scenario)))


def grid(runs: Sequence[RunRow], cells: Mapping[str, CellNames]) -> str:
    """Return a Markdown table of methods by seeds; a run of a repeated seed stands beside it."""
    seeds = sorted({run.seed for run in runs})
    places = {run_id: cell.place for run_id, cell in cells.items()}
    rows: dict[tuple[str, str], dict[int, list[str]]] = {}
    order: dict[tuple[str, str], tuple[int, str]] = {}
    for run in reversed(runs):  # they come newest first
        cell = cells.get(run.id)
        key = ("", run.method) if cell is None else (cell.scenario, cell.method)
        rows.setdefault(key, {}).setdefault(run.seed, []).append(_cell(run))
        stands = (places.get(run.id, 0), run.method)
        order[key] = min(order.get(key, stands), stands)
    scenarios = any(scenario for scenario, _ in rows)
    head = [*["Scenario"] * scenarios, "Method", *(f"Seed {seed}" for seed in seeds)]
    lines = [head, ["---"] * len(head)]
    for scenario, method in sorted(rows, key=order.__getitem__):
        names = [literal(scenario)] * scenarios + [literal(method)]
        of_seed = rows[scenario, method]
        lines.append([*names, *(", ".join(of_seed.get(seed, [])) for seed in seeds)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(run: RunRow) -> str:
    words = tagged(run.shown_status)
    if run.status in (RunStatus.RUNNING, RunStatus.STOPPING):
        words = f"{words}, {100 * run.progress:.0f} %"
    elif run.status is RunStatus.SUCCEEDED and run.started_at and run.ended_at:
        words = f"{words}, {duration((run.ended_at - run.started_at).total_seconds())}"
    return f"[{literal(words)}](run?id={run.id})"
