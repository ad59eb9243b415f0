"""Stop or resume every run of a study."""

from functools import partial

import streamlit as st

from app.components.dialog import Question, ask
from app.text.format import count
from db.models import RESUMABLE, STOPPABLE, RunStatus
from db.studies import StudyRow
from tasks import study as commands

ACTOR = "dashboard"


def action_buttons(study: StudyRow) -> None:
    """Draw the actions that the statuses of a study's runs allow, each with how many it is for."""
    stoppable = _number(study, STOPPABLE)
    if stoppable:
        question = Question(
            title="Stop this study?",
            subject=study.name,
            detail=f"{count(stoppable, 'run')} of this study",
            effect="Those in training stop after the step that they are in, those that wait do not "
            "start. What is recorded is kept, and all of them can be resumed.",
            button="Stop its runs",
            command=partial(commands.stop_study, study.name, ACTOR),
        )
        _button(
            f"Stop {count(stoppable, 'run')}", ":material/stop_circle:", "stop", question=question
        )
    resumable = _number(study, RESUMABLE)
    if resumable:
        question = Question(
            title="Resume this study?",
            subject=study.name,
            detail=f"{count(resumable, 'run')} of this study",
            effect="They go back to the queue and go on from their last finished epochs.",
            button="Resume its runs",
            command=partial(commands.resume_study, study.name, ACTOR),
        )
        _button(
            f"Resume {count(resumable, 'run')}", ":material/resume:", "resume", question=question
        )


def _number(study: StudyRow, statuses: tuple[RunStatus, ...]) -> int:
    return sum(number for status, number in study.statuses.items() if status in statuses)


def _button(label: str, icon: str, name: str, *, question: Question) -> None:
    st.button(label, icon=icon, key=f"study-{name}", on_click=ask, args=(question,))
