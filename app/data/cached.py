"""Cached reads, shaped for the pages.

What a run has recorded never changes but grows, so it is kept under the run's id and `Mark`, the
place that the run has reached; only what says where a run is, is read again and again.
"""

from typing import Any

import numpy.typing as npt
import pandas as pd
import streamlit as st

from app.data.resilient import Lasting
from db.reads import listing, queries, series, waiting
from db.reads.activity import Activity
from db.reads.listing import NEWEST_FIRST, Choices, Order, Overview, RunFilter
from db.reads.rows import CheckpointRow, EventRow, RunDetail, RunRow, WorkerRow
from db.reads.waiting import Wait
from db.session import Database
from engine.evaluation.statistics import wilson
from engine.names import visible
from tasks.activity import look
from tasks.escaping import frame_for_csv
from tasks.jobs import jobs_of
from tasks.settings import open_database
from tasks.worker.liveness import with_lost_marked

REFRESH_SECONDS = 2.0
"""How often a live part looks again."""
GLANCE_SECONDS = 1.0
"""How often the head of an active run's page looks, so that a death is told within two seconds."""
WATCH_SECONDS = 5.0
"""How often a page at rest asks for news from elsewhere."""

RUNS_A_PAGE = 50

Mark = tuple[str, int, int]
"""Where a run stands: status, attempt and recorded epochs (or steps) so far."""

Columns = dict[str, npt.NDArray[Any]]


@st.cache_resource(show_spinner=False)
def database() -> Database:
    return open_database()


def mark(run: RunRow) -> Mark:
    """Return the key under which what a run has recorded by now may be kept."""
    return (str(run.status), run.attempt, run.epoch)


def live_mark(run: RunRow) -> Mark:
    """As `mark`, for what is recorded within an epoch as well."""
    return (f"{run.shown_status}/{run.phase}", run.attempt, run.epoch * 1_000_000 + run.step)


@Lasting
@st.cache_data(ttl=1.0, max_entries=4, show_spinner=False)
def overview() -> Overview:
    with database().read() as session:
        return listing.overview(session)


@Lasting
@st.cache_data(ttl=1.0, max_entries=64, show_spinner=False)
def runs(wanted: RunFilter, page: int, order: Order = NEWEST_FIRST) -> tuple[list[RunRow], int]:
    """Return one page, counted from 1, of the runs that are wanted, and how many these are."""
    first = (page - 1) * RUNS_A_PAGE
    with database().read() as session:
        found, in_all = listing.runs(session, wanted, first, number=RUNS_A_PAGE, order=order)
    return with_lost_marked(found, database()), in_all


@st.cache_data(ttl=600, max_entries=4, show_spinner=False)
def run_choices(token: int) -> Choices:
    """Return what all runs can be narrowed by; ``token`` is the overview's."""
    with database().read() as session:
        return listing.choices(session)


@st.cache_data(ttl=600, max_entries=32, show_spinner=False)
def run_scenarios(run_ids: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    with database().read() as session:
        return listing.scenarios(session, run_ids)


@st.cache_data(ttl=600, max_entries=32, show_spinner=False)
def run_curves(reached: tuple[tuple[str, Mark], ...]) -> dict[str, list[float]]:
    """Return robust accuracy on validation data by epoch, of runs and where they stand."""
    with database().read() as session:
        return listing.curves(session, [run_id for run_id, _ in reached])


@Lasting
@st.cache_data(ttl=1.0, max_entries=64, show_spinner=False)
def run(run_id: str) -> RunDetail | None:
    with database().read() as session:
        found = queries.get_run(session, run_id)
    return with_lost_marked([found], database())[0] if found else None


@Lasting
@st.cache_data(ttl=1.0, max_entries=64, show_spinner=False)
def jobs(run_id: str) -> list[RunRow]:
    """Return the jobs about a run, newest first."""
    return jobs_of(database(), run_id)


@Lasting
@st.cache_data(ttl=1.0, max_entries=4, show_spinner=False)
def workers() -> list[WorkerRow]:
    with database().read() as session:
        return queries.workers(session)


@Lasting
@st.cache_data(ttl=1.0, max_entries=4, show_spinner=False)
def activity() -> Activity:
    """Return what goes on now: queues, runs in work, what waits, workers."""
    return look(database())


@Lasting
@st.cache_data(ttl=1.0, max_entries=64, show_spinner=False)
def events(run_id: str) -> list[EventRow]:
    with database().read() as session:
        return queries.events(session, run_id)


@Lasting
@st.cache_data(ttl=1.0, max_entries=64, show_spinner=False)
def wait_of(run_id: str) -> Wait | None:
    with database().read() as session:
        return waiting.wait_of(session, run_id)


def forget_runs() -> None:
    """Read runs again, after one was told something."""
    wait_of.clear()
    overview.clear()
    runs.clear()
    run.clear()
    jobs.clear()
    events.clear()


@st.cache_data(ttl=600, max_entries=32, show_spinner=False)
def metrics(run_id: str, reached: Mark) -> pd.DataFrame:
    """Return every series of a run: split, name, step, epoch, value."""
    with database().read() as session:
        return series.metrics(session, run_id)


@st.cache_data(ttl=600, max_entries=32, show_spinner=False)
def class_errors(run_id: str, reached: Mark, split: str) -> pd.DataFrame:
    """Return a split's values of each class, with the Wilson interval of each share.

    Columns: name, epoch, class_index, class, value, low, high, n.
    """
    with database().read() as session:
        table = series.class_metrics(session, run_id, split=split)
    low, high = wilson(table["value"], table["n"])
    return named(run_id, table.assign(low=low, high=high).drop(columns="split"))


@st.cache_data(ttl=600, max_entries=32, show_spinner=False)
def anti_adversary_shares(run_id: str, reached: Mark) -> pd.DataFrame:
    """Return the share of anti-adversaries of each class and epoch, as ``mean`` over its n."""
    with database().read() as session:
        table = series.class_metrics(session, run_id, split="train")
    table = table[table["name"] == "anti_adversary_share"].drop(columns=["split", "name"])
    return named(run_id, table.rename(columns={"value": "mean"}).reset_index(drop=True))


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def summaries(
    run_id: str, reached: Mark, quantity: str, *, label_group: str, epoch: int | None = None
) -> pd.DataFrame:
    """Return one quantity's distribution over each class, of one epoch or of all."""
    with database().read() as session:
        table = series.class_summaries(
            session, run_id, epoch, quantity=quantity, label_group=label_group
        )
    return named(run_id, table.drop(columns="quantiles") if epoch is None else table)


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def quantities(run_id: str, reached: Mark, epoch: int) -> dict[str, list[str]]:
    """Return what was recorded of each sample in an epoch: quantity -> its label groups."""
    with database().read() as session:
        table = series.class_summaries(session, run_id, epoch)
    groups = table.groupby("quantity")["label_group"].unique()
    return {str(name): sorted(found) for name, found in groups.items()}


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def summary_epochs(run_id: str, reached: Mark) -> list[int]:
    with database().read() as session:
        return series.recorded_epochs(session, run_id)


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def gallery_epochs(run_id: str, reached: Mark) -> list[int]:
    with database().read() as session:
        return series.gallery_epochs(session, run_id)


@st.cache_data(ttl=600, max_entries=16, show_spinner=False)
def gallery(run_id: str, reached: Mark, epoch: int) -> Columns | None:
    """Return the samples that are shown with their images, one entry a sample in each column."""
    with database().read() as session:
        found = series.snapshot(session, run_id, epoch, kind="gallery")
    return None if found is None else dict(found)


@st.cache_data(ttl=5.0, max_entries=64, show_spinner=False)
def checkpoints(run_id: str) -> list[CheckpointRow]:
    with database().read() as session:
        return queries.checkpoints(session, run_id)


def class_names(run: RunDetail | None) -> list[str]:
    """Return the names of a run's classes; before its trainer has told them, none."""
    return [visible(str(name)) for name in ((run and run.facts) or {}).get("class_names") or ()]


def class_name(names: list[str], index: int) -> str:
    return names[index] if index < len(names) else f"class {index}"


def named(run_id: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the name of each row's class."""
    names = class_names(run(run_id))
    found = [class_name(names, int(index)) for index in table["class_index"]]
    return table.assign(**{"class": pd.Series(found, index=table.index, dtype=object)})


def fact(run: RunDetail, name: str) -> Any:
    """Return one thing that the trainer measured at its start, or None."""
    return (run.facts or {}).get(name)


def as_csv(table: pd.DataFrame) -> bytes:
    """Return a table as a spreadsheet reads it; text like a formula stays text."""
    # RFC 4180 ends lines so.
    return frame_for_csv(table).to_csv(index=False, lineterminator="\r\n").encode("utf-8")
