"""The runs that match put together: by method, scenario, study or tag."""

import pandas as pd
import streamlit as st

from app.components.page import show_frame
from app.data import cached
from app.runs.table import data_in_short
from app.text.evaluation_card import threat_of
from app.text.format import NOTHING
from db.reads.groups import GROUPED, Group, groups
from db.reads.listing import RunFilter
from engine.names import visible


def ask_group() -> str | None:
    """Ask by what runs are put together; by nothing unless somebody chooses."""
    chosen: str | None = st.selectbox(
        "Group by",
        list(GROUPED),
        index=None,
        key="group",
        bind="query-params",
        placeholder="Nothing",
        width=150,
    )
    return chosen


def draw_groups(wanted: RunFilter, by: str) -> None:
    """Draw a row for each group, with the means of its runs' errors."""
    with cached.database().read() as session:
        found = groups(session, wanted, by)
    st.subheader(f"By {by}", anchor=False)
    rows = [
        {
            by.capitalize(): _called(group, by),
            "Runs": group.number,
            "Natural error": _percents(group.natural_error),
            "Robust error": _percents(group.robust_error),
            "Worst class": _percents(group.worst_robust_error),
        }
        for group in found
    ]
    share = st.column_config.NumberColumn(format="%.1f %%", help="Mean over the runs that have it")
    show_frame(
        pd.DataFrame(rows, columns=[by.capitalize(), "Runs", *_ERRORS]),
        hide_index=True,
        key=f"groups-{by}",
        column_config=dict.fromkeys(_ERRORS, share),
        alt=f"Number of runs and mean errors by {by}, the largest group first",
    )
    st.caption("Means over the runs, whatever their protocols; *Compare* ranks what is alike.")


_ERRORS = ("Natural error", "Robust error", "Worst class")


def _called(group: Group, by: str) -> str:
    if by != "scenario":
        return visible(str(group.key[0])) if group.key[0] else NOTHING
    dataset, kind, ratio, factor, norm, epsilon = group.key
    data = {"noise": {"kind": kind, "ratio": ratio}, "imbalance": {"factor": factor or 1}}
    told = data_in_short({"data": data}, dataset)
    if norm is None or epsilon is None:
        return told
    return f"{told}, {threat_of({'threat': {'norm': norm, 'epsilon': epsilon}})}"


def _percents(share: float | None) -> float | None:
    return None if share is None else 100 * share
