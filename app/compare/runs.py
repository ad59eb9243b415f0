"""Cached reads over many finished runs, shaped for the pages that compare them.

A finished run's results never change, so they are kept under its id; only which runs are finished
is read again and again.
"""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from app.compare.finished import Finished as Finished
from app.compare.finished import shaped, views
from app.data import cached
from app.data import evaluations as looks
from db import evaluations
from db.models import FINAL
from db.reads import comparison as stored
from engine.evaluation.error_names import NATURAL_ERROR, ROBUST_ERROR
from engine.evaluation.statistics import wilson

Ids = tuple[str, ...]


@st.cache_data(ttl=5.0, max_entries=2, show_spinner=False)
def finished() -> list[Finished]:
    """Return every finished run, newest first."""
    with cached.database().read() as session:
        return [shaped(row) for row in stored.finished_runs(session)]


@st.cache_data(ttl=5.0, max_entries=2, show_spinner=False)
def measured() -> list[list[Finished]]:
    """Return every finished run, newest first, once for each protocol, its own test first."""
    with cached.database().read() as session:
        rows = stored.finished_runs(session)
        attacks: dict[str, list[stored.AttackedRow]] = {}
        for attack in stored.attacks_on(session, [row.id for row in rows]):
            attacks.setdefault(attack.run_id, []).append(attack)
    return [views(row, attacks.get(row.id, [])) for row in rows]


def errors_under(runs: Sequence[Finished]) -> pd.DataFrame:
    """Return what `class_errors` does, of each run under its protocol."""
    tables = [class_errors(tuple(run.id for run in runs if run.made is None))]
    for run in runs:
        if run.made is not None:
            found = looks.class_errors(run.id, run.evaluation, run.made)
            tables.append(found.drop(columns="class").assign(run_id=run.id))
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def accuracies_under(runs: Sequence[Finished]) -> pd.DataFrame:
    """Return what `accuracies` does, of each run under its protocol."""
    tables = [accuracies(tuple(run.id for run in runs if run.made is None))]
    tables += [pd.DataFrame([_accuracy(run, run.made)]) for run in runs if run.made is not None]
    return pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)


def _accuracy(run: Finished, made: datetime) -> dict[str, object]:
    errors = looks.class_errors(run.id, run.evaluation, made)
    row: dict[str, object] = {"run_id": run.id}
    for name, error in (("natural", NATURAL_ERROR), ("robust", ROBUST_ERROR)):
        mine = errors[errors["name"] == error]
        row[name] = 1 - (mine["value"] * mine["n"]).sum() / mine["n"].sum()
        row[f"worst_{name}"] = 1 - mine["value"].max()
    return row


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def class_errors(run_ids: Ids) -> pd.DataFrame:
    """Return the test errors of each class that has images, with their Wilson intervals.

    Columns: run_id, name, class_index, value, low, high, n.
    """
    with cached.database().read() as session:
        table = stored.class_errors(session, run_ids)
    table = table[(table["n"] > 0) & table["value"].notna()].reset_index(drop=True)
    low, high = wilson(table["value"], table["n"])
    return table.assign(low=low, high=high)


@st.cache_data(ttl=600, max_entries=32, show_spinner=False)
def accuracies(run_ids: Ids) -> pd.DataFrame:
    """Return one row per run: natural, robust, worst_natural and worst_robust test accuracy."""
    with cached.database().read() as session:
        return _accuracies(stored.overall_errors(session, run_ids, "test"), ["run_id"])


@st.cache_data(ttl=600, max_entries=32, show_spinner=False)
def histories(run_ids: Ids) -> pd.DataFrame:
    """Return one row per run and epoch: the same accuracies on validation data."""
    with cached.database().read() as session:
        table = stored.overall_errors(session, run_ids, "validation")
    return _accuracies(table, ["run_id", "epoch"])


def _accuracies(table: pd.DataFrame, index: list[str]) -> pd.DataFrame:
    wide = 1 - table.pivot_table(index=index, columns="name", values="value", aggfunc="last")
    wide = wide.reindex(columns=list(stored.OVERALL))
    return wide.rename(columns=lambda name: str(name).removesuffix("_error")).reset_index()


@st.cache_data(ttl=600, max_entries=16, show_spinner=False)
def outcomes(
    run_id: str, evaluation: str = FINAL, made: datetime | None = None
) -> cached.Columns | None:
    """Return what a run's model said of its test images, in the order of the images.

    ``made`` tells an evaluation from the one that it replaced.
    """
    with cached.database().read() as session:
        return evaluations.in_order(session, run_id, evaluation)
