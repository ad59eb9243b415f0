"""Where a run is to be done, and when: the fields for its queue, its priority and its memory."""

import streamlit as st

from app.data import cached
from app.text.markdown import literal
from engine.errors import UserError
from tasks.queue.place import PRIORITIES, Place, in_gib, known_queues, parse_memory


def place_fields(now: Place, key: str) -> Place | None:
    """Draw the fields, filled with what is asked for now; return what they say, if it can be.

    Args:
        now: What they show at first.
        key: Tells the keys of one place's fields from another's.
    """
    queues = _queues()
    names = queues if now.queue in queues else [*queues, now.queue]
    left, middle, right = st.columns(3)
    with left:
        queue = st.selectbox(
            "Queue",
            names,
            index=names.index(now.queue),
            key=f"{key}-queue",
            help="Only workers that serve it take the run. Every worker serves *default* and *cpu* "
            "or *gpu*, unless it was started with `--queues`.",
        )
    with middle:
        priority = st.selectbox(
            "Priority",
            list(reversed(PRIORITIES)),
            index=PRIORITIES[-1] - now.priority,
            key=f"{key}-priority",
            help="Of the runs that wait, the highest is taken first; of equal ones, people take "
            "turns.",
        )
    with right:
        memory = st.text_input(
            "Device memory",
            "" if now.memory_needed is None else in_gib(now.memory_needed),
            key=f"{key}-memory",
            placeholder="any",
            help="What a worker's device must have at least, like 10 GiB; empty is any",
        )
    try:
        return Place(queue, priority, parse_memory(memory))
    except UserError as error:
        st.error(literal(str(error)), icon=":material/block:")
        return None


@st.cache_data(ttl=5.0, max_entries=1, show_spinner=False)
def _queues() -> list[str]:
    return known_queues(cached.database())
