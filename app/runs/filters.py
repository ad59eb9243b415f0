"""Which runs the list shows, in which order and columns: all of it stands in the link."""

from pathlib import Path
from typing import Any

import streamlit as st

from app.runs.table import COLUMNS, GROUPS, USUAL, head
from db.reads.columns import SORTED
from db.reads.listing import NEWEST_FIRST, Choices, Order, RunFilter
from engine.names import visible

COOKIE = "caat-columns"
"""Where a browser keeps the columns that were chosen in it."""
PARAMETERS = (
    "q",
    "status",
    "method",
    "dataset",
    "tag",
    "of-study",
    "sort",
    "way",
    "columns",
    "group",
)
"""Of the link, and no other page's: Streamlit keeps them from page to page. A saved view is their
values."""
SEARCH_HELP = (
    "Words of a name, tag, note, study, method or dataset; how an id begins; of the scenario: "
    "`imbalance 10`, `pair 20 %`, `linf`, `seed 3`; comparisons: `robust<40`, `worst>=60`, "
    '`natural`, `boundary`, `epoch`, `created>=2026-01-31`; `tag:x`, `study:"a b"`'
)
_LAST = "last-filter"
_keeper = st.components.v2.component(
    "caat_kept_columns",
    html="<span></span>",
    js=(Path(__file__).parent / "kept.js").read_text(encoding="utf-8"),
)


def ask_filter(found: Choices) -> RunFilter:
    """Draw what narrows the list and return what is wanted; another filter starts at page 1."""
    more = [
        (label, key, choices)
        for label, key, choices in (
            ("Tag", "tag", found.tags),
            ("Study", "of-study", found.studies),
        )
        if choices or _stands(key)
    ]
    search, *places = st.columns([3, 2, 2, 2, *[2] * len(more)])
    with search:
        text = st.text_input(
            "Search",
            key="q",
            placeholder="Name, tag, scenario or id",
            bind="query-params",
            icon=":material/search:",
            help=SEARCH_HELP,
        )
    asked = (
        ("Status", "status", list(GROUPS)),
        ("Method", "method", found.methods),
        ("Dataset", "dataset", found.datasets),
        *more,
    )
    chosen: dict[str, tuple[str, ...]] = {}
    for place, (label, key, choices) in zip(places, asked, strict=True):
        with place:
            chosen[key] = tuple(_choices(label, key, choices))
    wanted = RunFilter(
        text or "",
        tuple(name for group in chosen["status"] for name in GROUPS[group]),
        chosen["method"],
        chosen["dataset"],
        chosen.get("tag", ()),
        chosen.get("of-study", ()),
    )
    if st.session_state.get(_LAST, wanted) != wanted:
        st.session_state["page"] = 1
    st.session_state[_LAST] = wanted
    return wanted


def _stands(key: str) -> bool:
    return bool(st.session_state.get(key) or key in st.query_params)


def _choices(label: str, key: str, found: list[str]) -> list[str]:
    options = found + [name for name in st.session_state.get(key) or () if name not in found]
    return st.multiselect(
        label, options, key=key, format_func=visible, bind="query-params", placeholder="All"
    )


def ask_order() -> Order:
    """Ask by which column all runs are sorted; a click on the head of a column does the same."""
    column = st.selectbox(
        "Sort by",
        list(SORTED),
        index=list(SORTED).index(NEWEST_FIRST.column),
        key="sort",
        format_func=head,
        bind="query-params",
        width=190,
    )
    way = st.segmented_control(
        "Order", ["down", "up"], default="down", key="way", required=True, bind="query-params"
    )
    return Order(column or NEWEST_FIRST.column, way != "up")


def sort_by(column: str) -> None:
    """Sort by a column; called by a click on its head, the second of which turns the order."""
    if column not in SORTED:
        return
    same = st.session_state.get("sort") == column
    turned = "up" if st.session_state.get("way", "down") == "down" else "down"
    st.session_state["sort"] = column
    st.session_state["way"] = turned if same else "down"


def ask_columns() -> list[str]:
    """Ask which columns are shown; the choice stands in the link, and this browser keeps it."""
    kept = [name for name in _cookie().split(".") if name in COLUMNS]
    with st.popover("Columns", icon=":material/view_column:"):
        chosen: list[str] = st.multiselect(
            "Columns",
            list(COLUMNS),
            default=kept or list(USUAL),
            key="columns",
            format_func=head,
            bind="query-params",
            width=420,
        )
        st.caption("A column in which no run of this page says anything is left out.")
    shown = [name for name in COLUMNS if name in chosen] or ["name"]
    if shown != ([name for name in COLUMNS if name in kept] or list(USUAL)):
        _keep(shown)
    return shown


def _cookie() -> str:
    return str(st.context.cookies.get(COOKIE, ""))


def _keep(columns: list[str]) -> None:
    """Have the browser keep names of columns, which hold letters and underscores alone.

    It is a component, as the dashboard's pages may run no script of their own text.
    """
    _keeper(key="kept-columns", data={"name": COOKIE, "value": ".".join(columns)})


def query() -> dict[str, list[str]]:
    """Return what the link says of filters, order and columns."""
    there: dict[str, Any] = {name: st.query_params.get_all(name) for name in PARAMETERS}
    return {name: values for name, values in there.items() if values}
