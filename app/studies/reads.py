"""Cached reads of studies, shaped for their page."""

import streamlit as st

from app.compare.study import StudyTable, read_tables
from app.data.cached import database
from db import studies
from db.reads.comparison import CellNames
from db.reads.rows import RunRow
from db.studies import StudyRow
from tasks.study import MAX_RUNS
from tasks.worker.liveness import with_lost_marked


@st.cache_data(ttl=1.0, max_entries=2, show_spinner=False)
def listed() -> list[StudyRow]:
    with database().read() as session:
        return studies.studies(session)


@st.cache_data(ttl=1.0, max_entries=16, show_spinner=False)
def runs(name: str) -> list[RunRow]:
    with database().read() as session:
        found = studies.runs_of(session, name, MAX_RUNS)
    return with_lost_marked(found, database())


@st.cache_data(ttl=1.0, max_entries=16, show_spinner=False)
def cells(name: str) -> dict[str, CellNames]:
    """Return what a study's file calls its runs, by their ids; nothing if it came from the form."""
    with database().read() as session:
        return studies.cells_of(session, name)


@st.cache_data(ttl=600, max_entries=32, show_spinner=False)
def tables(name: str, finished: tuple[str, ...]) -> list[StudyTable]:
    """Return a study's tables; what its ``finished`` runs found never changes."""
    return read_tables(database(), name)


def forget() -> None:
    """Read again, after a study was told something."""
    listed.clear()
    runs.clear()
    cells.clear()
