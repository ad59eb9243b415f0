"""Published indices of inequality, each with its source and its interval."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app.components.page import download, show_frame
from engine.evaluation.disparity import DRAWS, measured
from engine.evaluation.error_names import ROBUST_ERROR


def draw(table: pd.DataFrame, attacked: str) -> None:
    """Draw the indices of every run below its errors.

    Args:
        table: Of `app.compare.fairness.class_table`.
        attacked: The ball, as it stands behind a number.
    """
    found = indices(table)
    st.subheader("Published indices of inequality", anchor=False)
    st.caption(
        f"Of the classes' accuracies under attack{attacked}, as their sources have them; in place "
        "of a certified score, what a real attack left right. Intervals: the middle 95 % of "
        f"{DRAWS:,} draws of the test images, class by class. A best and a worst class are chosen "
        "in each draw anew, so their indices lean to inequality where classes are small."
    )
    show_frame(found, hide_index=True, key="indices", column_config=_COLUMNS)
    download(found, key="indices", file_name="disparity-indices.csv")


def indices(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run and index: title, index, value, low, high, meaning, source."""
    rows = []
    robust = table[table["name"] == ROBUST_ERROR]
    for title, errors in robust.groupby("title", sort=False):
        count = errors["n"].to_numpy(dtype=np.int64)
        wrong = np.rint(errors["value"].to_numpy() * count).astype(np.int64)
        rows += [
            {
                "title": title,
                "index": one.index.name,
                "value": one.value,
                "low": one.low,
                "high": one.high,
                "meaning": one.index.says,
                "source": one.index.source,
            }
            for one in _measured(tuple(wrong.tolist()), tuple(count.tolist()))
        ]
    return pd.DataFrame(rows)


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def _measured(wrong: tuple[int, ...], count: tuple[int, ...]) -> Any:
    return measured(np.array(wrong), np.array(count))


_NUMBER = "%.3f"
_COLUMNS: dict[str, Any] = {
    "title": st.column_config.TextColumn("Run", width="medium"),
    "index": st.column_config.TextColumn("Index", width="small"),
    "value": st.column_config.NumberColumn("Value", format=_NUMBER),
    "low": st.column_config.NumberColumn("From", format=_NUMBER),
    "high": st.column_config.NumberColumn("To", format=_NUMBER),
    "meaning": st.column_config.TextColumn("Meaning", width="medium"),
    "source": st.column_config.TextColumn("Source", width="medium"),
}
