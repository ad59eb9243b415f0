"""Views of the list that have a name: kept in the database, for everybody who uses it."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlencode

import streamlit as st

from app.components.dialog import tell
from app.runs import filters
from app.text.markdown import literal
from engine.errors import UserError
from engine.names import visible
from tasks import editing


def draw_views() -> None:
    """Draw the menu of saved views: open, save, rename, delete."""
    with st.popover("Views", icon=":material/bookmark:"):
        known = editing.views()
        for name, query in known.items():
            wanted = {key: values for key, values in parse_qs(query).items() if _is_known(key)}
            st.page_link(
                "views/runs.py",
                label=literal(visible(name)),
                icon=":material/bookmark:",
                query_params=wanted,
            )
        if not known:
            st.caption("No view is saved yet. Filter or sort the list, and give that a name here.")
        new = st.text_input("Save what is shown as", key="view-name", max_chars=100)
        st.button("Save view", key="view-save", on_click=_do, args=(_save, new), disabled=not new)
        if known:
            _draw_changes(list(known))


def _is_known(parameter: str) -> bool:
    return parameter in filters.PARAMETERS


def _draw_changes(names: list[str]) -> None:
    chosen = st.selectbox("Change a view", names, key="view-chosen", format_func=visible)
    other = st.text_input("New name", key="view-new-name", max_chars=100)
    with st.container(horizontal=True):
        st.button(
            "Rename",
            key="view-rename",
            on_click=_do,
            args=(lambda: editing.rename_view(chosen, other),),
            disabled=not other,
        )
        st.button(
            "Delete view",
            key="view-delete",
            on_click=_do,
            args=(lambda: editing.delete_view(chosen),),
        )


def _save(name: str) -> str:
    return editing.save_view(name, urlencode(filters.query(), doseq=True))


def _do(change: Callable[..., str], *given: str) -> None:
    try:
        tell(change(*given))
    except UserError as error:
        tell(str(error))
