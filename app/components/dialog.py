"""A click asks, a dialog says what would follow, and only then something is told to do it.

What is meant is bound to the button when it is drawn, so a table that moves under the mouse changes
nothing about it; and a page that is drawn again meanwhile keeps the question.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import streamlit as st

from app.text.markdown import literal
from engine.errors import UserError

Refresh: TypeAlias = tuple[Callable[[], None], ...]

_ASKED = "asked-question"
_OPEN = "open-question"
_TOLD = "told-notice"


@dataclass(frozen=True)
class Question:
    """What a dialog says.

    Attributes:
        title: The question.
        subject: Name of what it is about.
        detail: Which of that name.
        effect: What would follow.
        button: The answer that does it.
        command: Does it, and returns a sentence that says so.
    """

    title: str
    subject: str
    detail: str
    effect: str
    button: str
    command: Callable[[], str]


class Form(Protocol):
    """A dialog of its own, in which more is said than yes or no."""

    title: str

    def draw(self, refresh: Refresh) -> None:
        """Draw what stands in it; `settle` and a rerun close it."""


def ask(question: Question | Form) -> None:
    """Have the page open a dialog; called by a click."""
    st.session_state[_ASKED] = question


def asked() -> bool:
    """Tell whether a click waits for its dialog; a fragment then has the whole page drawn."""
    return _ASKED in st.session_state


def answer_click(*refresh: Callable[[], None]) -> None:
    """Open the dialog of the last click, and say what the last one led to.

    It is called before the page's fragments: one that still finds a click has the page drawn.

    Args:
        refresh: What forgets the reads that an answer has made old.
    """
    notice = st.session_state.pop(_TOLD, None)
    if notice:
        st.toast(literal(notice), icon=":material/info:")
    if asked():
        st.session_state[_OPEN] = st.session_state.pop(_ASKED)
    if _OPEN in st.session_state:
        question: Question | Form = st.session_state[_OPEN]
        dialog = st.dialog(question.title, on_dismiss=settle)
        if isinstance(question, Question):
            dialog(_draw)(question, refresh)
        else:
            dialog(question.draw)(refresh)


def _draw(question: Question, refresh: Refresh) -> None:
    st.markdown(f"**{literal(question.subject)}**")
    st.caption(literal(question.detail))
    st.write(question.effect)
    with st.container(horizontal=True, horizontal_alignment="right"):
        no = st.button("Cancel", key="confirm-no", on_click=settle)
        yes = st.button(
            question.button,
            type="primary",
            key="confirm-yes",
            on_click=_tell,
            args=(question, refresh),
        )
        if no or yes:
            st.rerun()


def settle() -> None:
    """Forget the dialog that is open."""
    st.session_state.pop(_OPEN, None)


def tell(notice: str) -> None:
    """Have the page say something when it is drawn next."""
    st.session_state[_TOLD] = notice


def _tell(question: Question, refresh: Refresh) -> None:
    settle()
    try:
        st.session_state[_TOLD] = question.command()
    except UserError as error:
        st.session_state[_TOLD] = str(error)
    for forget in refresh:
        forget()
