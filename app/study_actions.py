"""Stop or resume every run of a study: a click names it, a dialog asks, then it is told."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from app import data, study_data
from app.words import count, literal
from db.studies import StudyRow
from tasks import study as commands

ACTOR = "dashboard"
_ASKED = "asked-study"
_TOLD = "told-study"


@dataclass(frozen=True)
class _Action:
    title: str
    effect: str
    button: str
    command: Callable[[str, str], str]


_ACTIONS = {
    "stop": _Action(
        "Stop this study?",
        "Those in training stop after the step that they are in, those that wait do not start. "
        "What is recorded is kept, and all of them can be resumed.",
        "Stop its runs",
        commands.stop_study,
    ),
    "resume": _Action(
        "Resume this study?",
        "They go back to the queue and go on from their last finished epochs.",
        "Resume its runs",
        commands.resume_study,
    ),
}


def action_buttons(study: StudyRow) -> None:
    """Draw the actions that the statuses of a study's runs allow, each with how many it is for."""
    for action, icon, statuses in (
        ("stop", ":material/stop_circle:", commands.STOPPABLE),
        ("resume", ":material/resume:", commands.RESUMABLE),
    ):
        number = sum(study.statuses.get(status, 0) for status in statuses)
        if number:
            st.button(
                f"{action.capitalize()} {count(number, 'run')}",
                icon=icon,
                key=f"study-{action}",
                on_click=_ask,
                args=(action, study.name, number),
            )


def _ask(action: str, name: str, number: int) -> None:
    st.session_state[_ASKED] = (action, name, number)


def asked() -> bool:
    """Tell whether a click waits for its dialog; a fragment then has the whole page drawn."""
    return _ASKED in st.session_state


def answer_click() -> None:
    """Open the dialog of the last click, and say what the last one led to."""
    notice = st.session_state.pop(_TOLD, None)
    if notice:
        st.toast(literal(notice), icon=":material/info:")
    pending = st.session_state.pop(_ASKED, None)
    if pending:
        action, name, number = pending
        st.dialog(_ACTIONS[action].title)(_confirm)(action, name, number)


def _confirm(action: str, name: str, number: int) -> None:
    words = _ACTIONS[action]
    st.markdown(f"**{literal(name)}**")
    st.caption(f"{count(number, 'run')} of this study")
    st.write(words.effect)
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="study-no"):
            st.rerun()
        if st.button(
            words.button, type="primary", key="study-yes", on_click=_tell, args=(action, name)
        ):
            st.rerun()


def _tell(action: str, name: str) -> None:
    st.session_state[_TOLD] = _ACTIONS[action].command(name, ACTOR)
    data.forget_runs()
    study_data.forget()
