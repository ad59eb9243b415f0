"""The dialog in which a person changes what a run is called: its name, tags and notes."""

from dataclasses import dataclass

import streamlit as st

from app.components.dialog import Refresh, ask, settle, tell
from app.data import cached
from app.run.actions import ACTOR
from app.text.markdown import explained, literal, notes
from db.reads.rows import RunRow
from db.writes.editing import Change, Edit
from engine.errors import UserError
from engine.names import visible
from tasks.editing import LONGEST_NAME, LONGEST_NOTES, edit_run

_SEEN = "edit-seen"


@dataclass(frozen=True)
class EditForm:
    """Asks for the name, tags and notes of one run.

    Attributes:
        run: As it stood when the dialog was opened.
        title: Of the dialog.
    """

    run: RunRow
    title: str = "Name, tags, notes"

    def draw(self, refresh: Refresh) -> None:
        """Ask, and keep the dialog open while something cannot be stored."""
        run, key = self.run, f"edit-{self.run.id}"
        st.caption(literal(f"Run {run.id}"))
        name = st.text_input("Name", run.name, key=f"{key}-name", max_chars=LONGEST_NAME)
        known = cached.run_choices(cached.overview().token).tags
        tags = st.multiselect(
            "Tags",
            list(dict.fromkeys([*known, *run.tags])),
            default=list(run.tags),
            key=f"{key}-tags",
            format_func=visible,
            accept_new_options=True,
            placeholder="Choose or type a new one",
        )
        text = st.text_area(
            "Notes (Markdown)", run.notes, key=f"{key}-notes", max_chars=LONGEST_NOTES, height=160
        )
        with st.container(horizontal=True, horizontal_alignment="right"):
            no = st.button("Cancel", key=f"{key}-no")
            yes = st.button("Save", type="primary", key=f"{key}-yes")
        if no:
            settle()
            st.rerun()
        if yes:
            self._save(name, tags, text, refresh=refresh)

    def _save(self, name: str, tags: list[str], text: str, *, refresh: Refresh) -> None:
        run = self.run
        seen = st.session_state.get(_SEEN, {}) if _SEEN in st.session_state else {}
        seen = {"name": run.name, "notes": run.notes} | seen.get(run.id, {})
        wanted = Edit(
            Change(name, seen["name"]) if name != run.name else None,
            Change(text, seen["notes"]) if text != run.notes else None,
            tuple(tag for tag in tags if tag not in run.tags),
            tuple(tag for tag in run.tags if tag not in tags),
        )
        try:
            told = edit_run(run.id, ACTOR, wanted)
        except UserError as error:
            st.error(explained(str(error)), icon=":material/error:")
            self._look_again(refresh)
            return
        st.session_state.pop(_SEEN, None)
        tell(told)
        for forget in refresh:
            forget()
        settle()
        st.rerun()

    def _look_again(self, refresh: Refresh) -> None:
        """Remember what stands there now: who saves again has seen it."""
        for forget in refresh:
            forget()
        now = cached.run(self.run.id)
        if now is not None:
            st.session_state[_SEEN] = {self.run.id: {"name": now.name, "notes": now.notes}}


def edit_button(run: RunRow, place: str) -> None:
    """Draw the button that opens the dialog."""
    st.button(
        "Edit",
        icon=":material/edit:",
        key=f"{place}-edit",
        help="Name, tags and notes",
        on_click=ask,
        args=(EditForm(run),),
    )


def draw_notes(run: RunRow) -> None:
    """Draw a run's tags, and its notes folded where they are long."""
    if run.tags:
        st.markdown(" ".join(f":gray-badge[{literal(visible(tag))}]" for tag in run.tags))
    if not run.notes:
        return
    lines = run.notes.count("\n") + len(run.notes) // 160
    with st.expander("Notes", expanded=lines < 6, icon=":material/notes:"):
        st.markdown(notes(run.notes))
