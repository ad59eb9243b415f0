"""The launch of what the form describes: one run, or a study of several methods and seeds."""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import streamlit as st

from app.components.page import link_run
from app.components.place_fields import place_fields
from app.data import cached
from app.new_run.words import draw_estimate, in_one_line, study_name
from app.scenario.toml_out import as_study
from app.text.format import count
from app.text.markdown import literal
from db.reads.listing import started_lately
from engine.advice import advice
from engine.errors import UserError
from engine.scenario import Scenario
from tasks.escaping import as_file_name
from tasks.queue.place import ANYWHERE, Place, in_words
from tasks.queue.submit import NOT_SENT, as_stored, submit
from tasks.study import submit_study

ACTOR = "dashboard"
PLACE = "launch-place"
LATELY = 30.0
"""Seconds for which the same launch from another tab is asked about first."""
_one_at_a_time = threading.Lock()  # of all tabs, so that two do not overlook each other


@dataclass(frozen=True)
class _Elsewhere:
    """The same was launched in another tab."""

    run_id: str
    seconds: float


@dataclass(frozen=True)
class _Launched:
    """What a launch led to; one run has no study."""

    run_id: str
    study: str | None
    sent: bool


@dataclass
class _Memory:
    """What a tab remembers of its launches, each by a fingerprint of what was to be launched.

    Attributes:
        keys: With which each is queued: however often the button is pressed, it stays the same.
        here: Runs that this tab has launched.
        launched: What the last launch led to.
        elsewhere: What stood in its way.
        insisted: What is to be launched although it did.
    """

    keys: dict[str, str] = field(default_factory=dict)
    here: set[str] = field(default_factory=set)
    launched: tuple[str, _Launched] | None = None
    elsewhere: tuple[str, _Elsewhere] | None = None
    insisted: str | None = None


def _memory() -> _Memory:
    memory: _Memory = st.session_state.setdefault("launches", _Memory())
    return memory


def draw_launch(scenarios: Sequence[Scenario], errors: dict[str, str]) -> None:
    """Say what would be launched or what is to be mended, and offer the button."""
    with st.container(border=True, key="launch-box"):
        place: Place | None = _place()
        if scenarios:
            st.markdown(f"**{literal(in_one_line(scenarios))}**")
            draw_estimate(scenarios)
            for line in dict.fromkeys(line for each in scenarios for line in advice(each)):
                st.caption(f":material/warning: {literal(line)}")
            place = _draw_place()
        else:
            st.markdown(f"**{count(len(errors), 'field')} to mend before this can be launched**")
            st.caption(literal("; ".join(f"{path}: {text}" for path, text in errors.items())))
        pressed = st.button(
            "Launch" if len(scenarios) < 2 else f"Launch {len(scenarios)} runs",
            type="primary",
            icon=":material/rocket_launch:",
            key="launch",
            width="stretch",
        )
        if len(scenarios) > 1:
            name = study_name(scenarios)
            st.download_button(
                "Download as a study file",
                partial(as_study, name, scenarios),  # written when it is asked for
                file_name=as_file_name(name, "toml"),
                mime="application/toml",
                icon=":material/download:",
                key="study-file",
                help="For `caat study launch`, or to add scenarios and seeds by hand",
                on_click="ignore",
                width="stretch",
            )
        if pressed and not (scenarios and place):
            st.error("Nothing was queued.", icon=":material/block:")
        if scenarios and place:
            fingerprint = _fingerprint(scenarios, place)
            insists, _memory().insisted = _memory().insisted == fingerprint, None
            if pressed or insists:
                _launch(scenarios, place, fingerprint, insists=insists)
            _draw_outcome(fingerprint)


def _place() -> Place:
    """Return where and when the next launch is to be done; a tab keeps it from page to page."""
    place: Place = st.session_state.setdefault(PLACE, ANYWHERE)
    return place


def _draw_place() -> Place | None:
    place = _place()
    told = "" if place == ANYWHERE else f": {in_words(place)}"
    with st.expander(f"Where and when{literal(told)}", icon=":material/low_priority:"):
        chosen = place_fields(place, "launch")
    if chosen is not None:
        st.session_state[PLACE] = chosen
    return chosen


def _fingerprint(scenarios: Sequence[Scenario], place: Place) -> str:
    every = "/".join([*(scenario.digest() for scenario in scenarios), in_words(place)])
    return f"{hashlib.sha256(every.encode()).hexdigest()}/{scenarios[0].name}"


def _launch(
    scenarios: Sequence[Scenario], place: Place, fingerprint: str, *, insists: bool
) -> None:
    """Queue them once; what another tab has just launched only for someone who insists."""
    memory = _memory()
    key = memory.keys.setdefault(fingerprint, uuid4().hex)
    try:
        with _one_at_a_time:
            elsewhere = None if insists else _started_elsewhere(scenarios[0])
            memory.elsewhere = None if elsewhere is None else (fingerprint, elsewhere)
            if elsewhere is not None:
                return
            launched = _submitted(scenarios, place, key)
    except UserError as error:
        st.error(f"Nothing was queued. {literal(str(error))}", icon=":material/block:")
        return
    cached.forget_runs()
    memory.launched = fingerprint, launched


def _started_elsewhere(first: Scenario) -> _Elsewhere | None:
    digest = as_stored(first).digest()
    with cached.database().read() as session:
        found = started_lately(session, digest, ACTOR, seconds=LATELY)
    return None if found is None or found[0] in _memory().here else _Elsewhere(*found)


def _submitted(scenarios: Sequence[Scenario], place: Place, key: str) -> _Launched:
    if len(scenarios) == 1:
        run = submit(scenarios[0], actor=ACTOR, place=place, idempotency_key=key)
        _memory().here.add(run.run_id)
        return _Launched(run.run_id, None, run.sent)
    name = study_name(scenarios)
    study = submit_study(name, scenarios, actor=ACTOR, place=place, idempotency_key=key)
    _memory().here.update(study.run_ids)
    return _Launched(study.run_ids[0], study.name, study.sent)


def _draw_outcome(fingerprint: str) -> None:
    """Say what the last launch of the same led to, and what stood in the way of another."""
    match _memory().launched:
        case (of, _Launched() as launched) if of == fingerprint:
            told = "Queued; a worker takes it as soon as one is free" if launched.sent else NOT_SENT
            what = f"Study *{literal(launched.study)}*. " if launched.study else ""
            st.success(f"{what}{told}.", icon=":material/check_circle:")
            with st.container(horizontal=True, vertical_alignment="center"):
                if launched.study is None:
                    link_run(launched.run_id, "Open the run")
                else:
                    _link_study(launched.study)
                st.button("Prepare it once more", key="again", on_click=_again, args=(fingerprint,))
    match _memory().elsewhere:
        case (of, _Elsewhere() as found) if of == fingerprint:
            st.warning(
                f"Nothing was queued: already started {found.seconds:.0f} s ago by another tab.",
                icon=":material/tab_unselected:",
            )
            with st.container(horizontal=True, vertical_alignment="center"):
                link_run(found.run_id, "Open that run")
                st.button("Launch another", key="insist", on_click=_insist, args=(fingerprint,))


def _link_study(name: str) -> None:
    icon, query = ":material/open_in_full:", {"study": name}
    st.page_link("views/studies.py", label="Open the study", icon=icon, query_params=query)


def _insist(fingerprint: str) -> None:
    _memory().insisted, _memory().elsewhere = fingerprint, None


def _again(fingerprint: str) -> None:
    """Forget a launch, so that the same can be launched once more."""
    _memory().keys.pop(fingerprint, None)
    _memory().launched = None
