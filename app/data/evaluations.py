"""Cached reads of a run's evaluations, shaped for the pages."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from app.data import cached
from db import evaluations as stored
from db.reads.rows import EvaluationRow
from engine.evaluation.statistics import class_counts, confusion, errors_by_class, spread, wilson

Said = dict[str, npt.NDArray[Any]]


@st.cache_data(ttl=2.0, max_entries=64, show_spinner=False)
def evaluations(run_id: str) -> list[EvaluationRow]:
    with cached.database().read() as session:
        return stored.evaluations(session, run_id)


@st.cache_data(ttl=600, max_entries=32, show_spinner=False)
def class_errors(run_id: str, name: str, made: datetime) -> pd.DataFrame:
    """Return the errors of each class under one attack, with their Wilson intervals.

    Columns: name, class_index, class, value, low, high, n. ``made`` tells an evaluation from the
    one that it replaced.
    """
    said, names = _said(run_id, name), _names(run_id)
    count = class_counts(said["label"], len(names))
    wrong = errors_by_class(said["label"], said["clean"], said["attacked"], num_classes=len(names))
    tables = [
        pd.DataFrame({"name": error, "class_index": np.arange(len(names)), "wrong": counts})
        for error, counts in wrong.items()
    ]
    table = pd.concat(tables, ignore_index=True)
    table["class"] = [names[index] for index in table["class_index"]]
    table["n"] = count[table["class_index"]]
    present = table[table["n"] > 0]
    value = present["wrong"] / present["n"]
    low, high = wilson(value, present["n"])
    return present.assign(value=value, low=low, high=high).drop(columns="wrong")


@st.cache_data(ttl=600, max_entries=32, show_spinner=False)
def confusions(run_id: str, name: str, made: datetime) -> pd.DataFrame:
    """Return how often each class was taken for each, without and under an attack.

    One row per pair of classes: class_index, class, said_index, said, n (of the class), clean,
    attacked and difference as shares of n.
    """
    said, names = _said(run_id, name), _names(run_id)
    size = len(names)
    clean, attacked = (confusion(said["label"], said[kind], size) for kind in ("clean", "attacked"))
    rows, columns = (index.ravel() for index in np.indices((size, size)))
    n = clean.sum(axis=1)[rows]
    table = pd.DataFrame({"class_index": rows, "said_index": columns, "n": n})
    table["class"] = [names[index] for index in rows]
    table["said"] = [names[index] for index in columns]
    table["clean"] = clean.ravel() / np.maximum(n, 1)
    table["attacked"] = attacked.ravel() / np.maximum(n, 1)
    table["difference"] = table["attacked"] - table["clean"]
    return table


def curve(run_id: str, findings: Mapping[str, Any]) -> pd.DataFrame:
    """Return robust accuracy by radius, on average and of the worst class there.

    Columns: name (``average`` or ``worst``), epsilon, value, low, high, n, class.
    """
    names, count = _names(run_id), np.array(findings["count"])
    rows: list[dict[str, Any]] = []
    for epsilon, wrong in zip(findings["epsilon"], findings["wrong"], strict=True):
        found = spread(np.array(wrong), count)
        at = {"epsilon": epsilon}
        worst, n = names[found.worst_class], int(count[found.worst_class])
        rows.append(at | {"name": "average", "value": 1 - found.average, "n": count.sum()})
        rows.append(at | {"name": "worst", "value": 1 - found.worst, "n": n, "class": worst})
    table = pd.DataFrame(rows).fillna({"class": ""})
    low, high = wilson(table["value"], table["n"])
    return table.assign(low=low, high=high)


def _said(run_id: str, name: str) -> Said:
    with cached.database().read() as session:
        found = stored.outcomes(session, run_id, name)
    assert found is not None
    return found


def _names(run_id: str) -> list[str]:
    return cached.class_names(cached.run(run_id))
