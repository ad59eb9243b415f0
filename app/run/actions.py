"""Stop, resume and delete a run."""

from functools import partial

import streamlit as st

from app.components.dialog import Question, ask
from app.components.page import title_of
from db.reads.rows import RunRow
from tasks import commands

ACTOR = "dashboard"


def action_buttons(run: RunRow, place: str) -> None:
    """Draw the actions that a run's status allows.

    Args:
        run: The run that is meant, whatever the page shows by the time of the click.
        place: Where the buttons stand, to tell their keys apart.
    """
    about = partial(Question, subject=title_of(run), detail=f"Run {run.id}")
    if run.is_stoppable:
        question = about(
            title="Stop this run?",
            effect="It stops after the step that it is in. What it has recorded is kept, and it "
            "can be resumed from its last finished epoch.",
            button="Stop the run",
            command=partial(commands.stop, run.id, ACTOR),
        )
        _button("Stop", ":material/stop_circle:", f"{place}-stop", question=question)
    if run.is_resumable:
        question = about(
            title="Resume this run?",
            effect="It goes back to the queue and goes on from its last finished epoch.",
            button="Resume the run",
            command=partial(commands.resume, run.id, ACTOR),
        )
        _button("Resume", ":material/resume:", f"{place}-resume", question=question)
    if run.is_deletable:
        question = about(
            title="Delete this run?",
            effect="Its curves, per-sample weights and checkpoints go with it. This cannot be "
            "undone.",
            button="Delete the run",
            command=partial(commands.delete, run.id, ACTOR),
        )
        _button("Delete", ":material/delete:", f"{place}-delete", question=question)


def _button(label: str, icon: str, key: str, *, question: Question) -> None:
    st.button(label, icon=icon, key=key, on_click=ask, args=(question,))
