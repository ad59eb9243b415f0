"""Runs to compare, finished or not: which there are, and their values over the epochs."""

import pandas as pd
import streamlit as st

from app.compare.finished import Finished, shaped
from app.components.page import title_of
from app.data import cached
from app.data.cached import Mark
from db.reads import comparison, listing
from db.reads.listing import RunFilter
from db.reads.rows import RunRow

MOST = 20
"""Runs that are compared at once."""
OFFERED = 1_000
"""Of all runs the newest, and those that a link names."""


@st.cache_data(ttl=600, max_entries=8, show_spinner=False)
def choosable(wanted: tuple[str, ...], token: int) -> dict[str, str]:
    """Return the runs to choose from: id -> what it is called. ``token`` is the overview's."""
    with cached.database().read() as session:
        ids = listing.ids_of(session, RunFilter(), at_most=OFFERED)
        rows = listing.rows_of(session, list(dict.fromkeys([*wanted[:MOST], *ids])))
    return {run.id: f"{title_of(run)} · seed {run.seed} · {run.id[:8]}" for run in rows}


@st.cache_data(ttl=2.0, max_entries=8, show_spinner=False)
def known_runs(run_ids: tuple[str, ...]) -> list[RunRow]:
    """Return the runs that are there, in the order of the ids."""
    with cached.database().read() as session:
        return listing.rows_of(session, run_ids)


@st.cache_data(ttl=5.0, max_entries=8, show_spinner=False)
def finished_among(run_ids: tuple[str, ...]) -> list[Finished]:
    """Return those of the runs that are finished, in the order of the ids."""
    with cached.database().read() as session:
        rows = {row.id: row for row in comparison.finished_among(session, run_ids)}
    return [shaped(rows[run_id]) for run_id in run_ids if run_id in rows]


@st.cache_data(ttl=600, max_entries=32, show_spinner=False)
def curves(reached: tuple[tuple[str, Mark], ...], name: str, split: str) -> pd.DataFrame:
    """Return one value over the epochs, of runs and where they stand: run_id, epoch, value."""
    ids = [run_id for run_id, _ in reached]
    with cached.database().read() as session:
        table = comparison.overall_errors(session, ids, split, names=(name,))
    known = table.dropna(subset=["value"])
    return known.drop_duplicates(["run_id", "epoch"], keep="last").drop(columns="name")
