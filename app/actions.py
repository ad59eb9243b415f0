"""Stop, resume and delete: a click names a run by its id, a dialog asks, then the run is told.

The id is bound to the button when it is drawn, so a table that moves under the mouse changes
nothing about which run is meant.
"""

from dataclasses import dataclass
from typing import Literal

import streamlit as st

from app import data
from app.page import title_of
from app.words import literal
from db.rows import RunRow
from engine.errors import UserError
from tasks import commands

ACTOR = "dashboard"
_ASKED = "asked-action"
_TOLD = "told-notice"

Action = Literal["stop", "resume", "delete"]

STOPPABLE = ("queued", "running", "interrupted")
RESUMABLE = ("failed", "cancelled", "interrupted")
DELETABLE = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class _Words:
    title: str
    effect: str
    button: str


_WORDS = {
    "stop": _Words(
        "Stop this run?",
        "It stops after the step that it is in. What it has recorded is kept, and it can be "
        "resumed from its last finished epoch.",
        "Stop the run",
    ),
    "resume": _Words(
        "Resume this run?",
        "It goes back to the queue and goes on from its last finished epoch.",
        "Resume the run",
    ),
    "delete": _Words(
        "Delete this run?",
        "Its curves, per-sample weights and checkpoints go with it. This cannot be undone.",
        "Delete the run",
    ),
}


_COMMANDS = {"stop": commands.stop, "resume": commands.resume, "delete": commands.delete}


def action_buttons(run: RunRow, place: str) -> None:
    """Draw the actions that a run's status allows.

    Args:
        run: The run that is meant, whatever the page shows by the time of the click.
        place: Where the buttons stand, to tell their keys apart.
    """
    if run.status in STOPPABLE:
        _button("Stop", ":material/stop_circle:", "stop", run, place)
    if run.status in RESUMABLE:
        _button("Resume", ":material/resume:", "resume", run, place)
    if run.status in DELETABLE:
        _button("Delete", ":material/delete:", "delete", run, place)


def _button(label: str, icon: str, action: Action, run: RunRow, place: str) -> None:
    st.button(
        label,
        icon=icon,
        key=f"{place}-{action}",
        on_click=_ask,
        args=(action, run.id, title_of(run)),
    )


def _ask(action: Action, run_id: str, name: str) -> None:
    st.session_state[_ASKED] = (action, run_id, name)


def asked() -> bool:
    """Tell whether a click waits for its dialog; a fragment then has the whole page drawn."""
    return _ASKED in st.session_state


def answer_click() -> None:
    """Open the dialog of the last click, and say what the last one led to.

    It is called before the page's fragments: one that still finds a click has the page drawn.
    """
    notice = st.session_state.pop(_TOLD, None)
    if notice:
        st.toast(literal(notice), icon=":material/info:")
    pending = st.session_state.pop(_ASKED, None)
    if pending:
        action, run_id, name = pending
        st.dialog(_WORDS[action].title)(_confirm)(action, run_id, name)


def _confirm(action: Action, run_id: str, name: str) -> None:
    words = _WORDS[action]
    st.markdown(f"**{literal(name)}**")
    st.caption(f"Run {run_id}")
    st.write(words.effect)
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="confirm-no"):
            st.rerun()
        sure = st.button(
            words.button, type="primary", key="confirm-yes", on_click=_tell, args=(action, run_id)
        )
        if sure:
            st.rerun()


def _tell(action: Action, run_id: str) -> None:
    try:
        st.session_state[_TOLD] = _COMMANDS[action](run_id, ACTOR)
    except UserError as error:
        st.session_state[_TOLD] = str(error)
    data.forget_runs()
