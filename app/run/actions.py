"""Stop, resume and delete a run."""

from dataclasses import dataclass
from functools import partial

import streamlit as st

from app.components.dialog import Question, ask
from app.components.page import title_of
from db.models import TRAINING
from db.reads.rows import RunRow
from tasks import commands

ACTOR = "dashboard"


@dataclass(frozen=True)
class Words:
    """What is said of a kind of run before something is done to it."""

    what: str
    stop: str
    resume: str
    delete: str


TRAINED = Words(
    "run",
    "It stops after the step that it is in. What it has recorded is kept, and it can be resumed "
    "from its last finished epoch.",
    "It goes back to the queue and goes on from its last finished epoch.",
    "Its curves, per-sample weights and checkpoints go with it, and so do the jobs about it. This "
    "cannot be undone.",
)
JOB = Words(
    "job",
    "It stops after the images that it looks at. What it has found is kept, and it can be resumed "
    "from there.",
    "It goes back to the queue and goes on from what it has found.",
    "What it has stored with its run stays there; the file of an export goes with it.",
)

TAKEN_IN = Words(
    "run",
    JOB.stop,
    JOB.resume,
    "Everything that it says of every image goes with it, and so do the jobs about it. The file "
    "that it came from stays where it is. This cannot be undone.",
)


def _words(run: RunRow) -> Words:
    if run.is_job:
        return JOB
    return TRAINED if run.kind == TRAINING else TAKEN_IN


def action_buttons(run: RunRow, place: str) -> None:
    """Draw the actions that a run's status allows.

    Args:
        run: The run that is meant, whatever the page shows by the time of the click.
        place: Where the buttons stand, to tell their keys apart.
    """
    words = _words(run)
    what = words.what
    about = partial(Question, subject=title_of(run), detail=f"{what.capitalize()} {run.id}")
    if run.is_stoppable:
        question = about(
            title=f"Stop this {what}?",
            effect=words.stop,
            button=f"Stop the {what}",
            command=partial(commands.stop, run.id, ACTOR),
        )
        _button("Stop", ":material/stop_circle:", f"{place}-stop", question=question)
    if run.is_resumable:
        question = about(
            title=f"Resume this {what}?",
            effect=words.resume,
            button=f"Resume the {what}",
            command=partial(commands.resume, run.id, ACTOR),
        )
        _button("Resume", ":material/resume:", f"{place}-resume", question=question)
    if run.is_deletable:
        question = about(
            title=f"Delete this {what}?",
            effect=words.delete,
            button=f"Delete the {what}",
            command=partial(commands.delete, run.id, ACTOR),
        )
        _button("Delete", ":material/delete:", f"{place}-delete", question=question)


def _button(label: str, icon: str, key: str, *, question: Question) -> None:
    st.button(label, icon=icon, key=key, on_click=ask, args=(question,))
