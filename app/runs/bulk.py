"""What is done to many runs at once: those that are selected, or all that match."""

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from app.compare.fairness import MAX_RUNS
from app.components.dialog import Question, ask
from app.data import cached
from app.run.actions import ACTOR, TRAINED
from app.runs.table import run_table
from app.text.format import count
from db.reads import listing
from db.reads.listing import RunFilter
from db.reads.rows import RunRow
from engine.attacks.base import ATTACKS
from tasks import bulk, editing

CHOSEN = "chosen-runs"
EVERY = "every-match"
"""The runs that matched when all of them were selected, and the filter that they matched."""
MOST = 5_000
"""Runs that can be selected at once."""
MANY = 100
"""More runs than this are never changed without a question."""
MAX_COMPARED = 20


def every_match(wanted: RunFilter) -> tuple[str, ...]:
    """Return the runs that were selected as all that match; another filter forgets them."""
    before, ids = st.session_state.get(EVERY, (None, ()))
    return ids if before == wanted else ()


def offer_every_match(wanted: RunFilter, number: int) -> None:
    """Draw the button that selects all runs that match."""
    if every_match(wanted):
        st.button("Select none", icon=":material/deselect:", key="none", on_click=_clear)
    else:
        st.button(
            f"Select all {number:,}",
            icon=":material/select_all:",
            key="every",
            on_click=_select_every,
            args=(wanted,),
            help="All runs that match, on every page",
        )


def _clear() -> None:
    st.session_state.pop(EVERY, None)


def _select_every(wanted: RunFilter) -> None:
    with cached.database().read() as session:
        ids = listing.ids_of(session, wanted, at_most=MOST)
    st.session_state[EVERY] = (wanted, tuple(ids))


def succeeded(ids: Sequence[str]) -> list[str]:
    """Return which of the runs have succeeded."""
    with cached.database().read() as session:
        return listing.succeeded(session, ids)


def draw_bulk(ids: Sequence[str], done: Sequence[str]) -> None:
    """Draw what can be done to several runs.

    Args:
        ids: The runs.
        done: Those of them that succeeded; the pages that compare take no other.
    """
    st.markdown(f"**{count(len(ids), 'run')} selected**", width="content")
    if 2 <= len(ids) <= MAX_COMPARED:
        _link("views/compare.py", "Compare", ":material/compare_arrows:", ids=ids)
    if done:
        _link("views/fairness.py", "Compare classes", ":material/balance:", ids=done[:MAX_RUNS])
        _link("views/tradeoff.py", "Compare trade-off", ":material/scatter_plot:", ids=done[:200])
    with st.popover("Actions", icon=":material/checklist:"):
        _draw_actions(ids)
        _draw_words(ids)
        st.download_button(
            "Download CSV",
            partial(_as_csv, tuple(ids)),
            file_name="runs.csv",
            mime="text/csv",
            icon=":material/download:",
            key="bulk-csv",
            on_click="ignore",
        )
    notes = []
    if done and len(done) < len(ids):
        notes.append(f"{len(done)} of them finished; only these are compared")
    if len(done) > MAX_RUNS:
        notes.append(f"classes of the first {MAX_RUNS}")
    st.caption("; ".join(notes), width="stretch")


def _link(file: str, label: str, icon: str, *, ids: Sequence[str]) -> None:
    st.page_link(file, label=label, icon=icon, query_params={"runs": list(ids)})


def _draw_actions(ids: Sequence[str]) -> None:
    with st.container(horizontal=True):
        _action("Stop", ":material/stop_circle:", ids, effect=TRAINED.stop, do=bulk.stop)
        _action("Resume", ":material/resume:", ids, effect=TRAINED.resume, do=bulk.resume)
        _action("Delete", ":material/delete:", ids, effect=TRAINED.delete, do=bulk.delete)


def _action(
    verb: str,
    icon: str,
    ids: Sequence[str],
    *,
    effect: str,
    do: Callable[[Sequence[str], str], str],
) -> None:
    question = _question(verb, ids, effect, command=partial(do, tuple(ids), ACTOR))
    st.button(verb, icon=icon, key=f"bulk-{verb}", on_click=ask, args=(question,))


def _question(
    verb: str, ids: Sequence[str], effect: str, *, command: Callable[[], str]
) -> Question:
    shown = ", ".join(run_id[:8] for run_id in ids[:8]) + (", ..." if len(ids) > 8 else "")
    runs = count(len(ids), "run")
    many = f" These are more than {MANY} runs." if len(ids) > MANY else ""
    return Question(
        title=f"{verb}: {runs}?",
        subject=runs,
        detail=shown,
        effect=f"Of each run to which it applies: {effect}{many}",
        button=f"{verb} {runs}",
        command=command,
    )


def _draw_words(ids: Sequence[str]) -> None:
    """Ask for the tag, study or attack that is meant; each is asked about before it is done."""
    known = cached.run_choices(cached.overview().token)
    add = st.multiselect("Put on tags", known.tags, key="bulk-add", accept_new_options=True)
    off = st.multiselect("Take off tags", known.tags, key="bulk-off")
    _worded(
        "Tag",
        ids,
        f"put on {', '.join(add) or 'nothing'}; take off {', '.join(off) or 'nothing'}.",
        command=partial(editing.tag_runs, tuple(ids), ACTOR, add=add, remove=off),
        ready=bool(add or off),
    )
    study = st.selectbox(
        "Study",
        known.studies,
        index=None,
        key="bulk-study",
        accept_new_options=True,
        placeholder="Choose or type a new one",
    )
    _worded(
        "Add to study",
        ids,
        f"it is shared by the study {study}.",
        command=partial(bulk.add_to_study, tuple(ids), study or ""),
        ready=bool(study),
    )
    attack = st.selectbox("Attack", list(ATTACKS.names()), key="bulk-attack")
    _worded(
        "Evaluate",
        ids,
        f"a job looks at its test images under {attack}.",
        command=partial(bulk.evaluate, tuple(ids), ACTOR, attack=attack),
        ready=True,
    )


def _worded(
    verb: str, ids: Sequence[str], effect: str, *, command: Callable[[], str], ready: bool
) -> None:
    question = _question(verb, ids, effect, command=command)
    st.button(verb, key=f"bulk-{verb}", on_click=ask, args=(question,), disabled=not ready)


def _as_csv(ids: tuple[str, ...]) -> bytes:
    """Return the list's columns of runs, all of them, with their ids."""
    with cached.database().read() as session:
        rows: list[RunRow] = listing.rows_of(session, ids)
        scenarios = listing.scenarios(session, ids)
    table = run_table(rows, scenarios, {}).drop(columns=["curve", "time_left", "status"])
    table["tags"] = [", ".join(tags) for tags in table["tags"]]
    table.insert(0, "run_id", [row.id for row in rows])
    table.insert(1, "status", [row.status.value for row in rows])
    table["created"] = [row.created_at.isoformat() for row in rows]
    table["notes"] = [row.notes for row in rows]
    return cached.as_csv(table)
