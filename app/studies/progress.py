"""Where a study is: how many runs stand where, and each of them by method and seed."""

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from app.text.format import ago, count
from app.text.labels import STATUSES, tagged
from app.text.markdown import literal
from db.models import RunStatus
from db.reads.rows import RunRow
from db.studies import StudyRow

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


def draw_progress(study: StudyRow, runs: Sequence[RunRow]) -> None:
    """Draw a bar over all epochs, and a table of methods and seeds that leads to each run."""
    done = study.statuses.get(RunStatus.SUCCEEDED, 0)
    st.progress(
        study.progress,
        text=literal(
            f"{done} of {count(study.total, 'run')} finished, {100 * study.progress:.0f} % of all "
            f"epochs · {in_words(study.statuses)}"
        ),
    )
    st.markdown(grid(runs))


def grid(runs: Sequence[RunRow]) -> str:
    """Return a Markdown table of methods by seeds; a run of a repeated seed stands beside it."""
    seeds = sorted({run.seed for run in runs})
    cells: dict[str, dict[int, list[str]]] = {}
    for run in reversed(runs):  # they come newest first
        cells.setdefault(run.method, {}).setdefault(run.seed, []).append(_cell(run))
    head = ["Method", *(f"Seed {seed}" for seed in seeds)]
    lines = [head, ["---"] * len(head)]
    lines += [
        [literal(method), *(", ".join(of_seed.get(seed, [])) for seed in seeds)]
        for method, of_seed in sorted(cells.items())
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(run: RunRow) -> str:
    words = tagged(run.shown_status)
    if run.status in (RunStatus.RUNNING, RunStatus.STOPPING):
        words = f"{words}, {100 * run.progress:.0f} %"
    return f"[{literal(words)}](run?id={run.id})"
