"""The launch of what the form describes: one run, or a study of several methods and seeds."""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import streamlit as st

from app.components.workers import is_ready
from app.data import cached
from app.new_run.estimate import estimate, memory_in_words, time_in_words
from app.new_run.preview import training_counts
from app.text.format import count
from app.text.markdown import literal
from db.reads.listing import started_lately
from db.reads.throughput import TimedRun, timed_runs
from engine.errors import UserError
from engine.scenario import Scenario
from tasks.queue.submit import UNHEARD, submit
from tasks.study import submit_study

ACTOR = "dashboard"
LATELY = 30.0
"""Seconds for which the same launch from another tab is asked about first."""
_KEYS, _LAUNCHED, _HERE = "launch-keys", "launched", "launched-here"
_ELSEWHERE, _INSISTED = "launched-elsewhere", "launch-insisted"
_one_at_a_time = threading.Lock()  # of all tabs, so that two do not overlook each other


@dataclass(frozen=True)
class _Elsewhere:
    """The same was launched in another tab."""

    fingerprint: str
    run_id: str
    seconds: float


@dataclass(frozen=True)
class _Launched:
    """What the last launch led to; one run has no study."""

    fingerprint: str
    run_id: str
    study: str | None
    rung: bool


def draw_launch(scenarios: Sequence[Scenario], errors: dict[str, str]) -> None:
    """Say what would be launched or what is to be mended, and offer the button."""
    with st.container(border=True, key="launch-box"):
        if scenarios:
            st.markdown(f"**{literal(in_one_line(scenarios))}**")
            _draw_estimate(scenarios)
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
        if pressed and not scenarios:
            st.error("Nothing was queued.", icon=":material/block:")
        if scenarios:
            fingerprint = _fingerprint(scenarios)
            insists = st.session_state.pop(_INSISTED, None) == fingerprint
            if pressed or insists:
                _launch(scenarios, fingerprint, insists=insists)
            _draw_launched(fingerprint)
            _draw_elsewhere(fingerprint)


def in_one_line(scenarios: Sequence[Scenario]) -> str:
    """Say what scenarios that differ in method and seed alone are, together."""
    first = scenarios[0]
    methods = list(dict.fromkeys(scenario.method.label for scenario in scenarios))
    seeds = len(scenarios) // len(methods)
    parts = [
        f"{_listed(methods)} on {first.data.source.title}",
        count(first.training.epochs, "epoch"),
        count(int(training_counts(first).sum()), "training image"),
    ]
    if len(scenarios) > 1:
        each = f"{count(len(methods), 'method')} x {count(seeds, 'seed')}"
        parts.append(f"{each} = {len(scenarios)} runs")
    return ", ".join(parts)


def _draw_estimate(scenarios: Sequence[Scenario]) -> None:
    first = scenarios[0]
    found = estimate(scenarios, _earlier(first.data.dataset), int(training_counts(first).sum()))
    workers = sum(map(is_ready, cached.workers()))
    told = (time_in_words(found, len(scenarios), workers), memory_in_words(found))
    st.caption(literal(" ".join(told)), help="Measured on runs that finished without a break")


@st.cache_data(ttl=10.0, max_entries=16, show_spinner=False)
def _earlier(dataset: str) -> list[TimedRun]:
    with cached.database().read() as session:
        return timed_runs(session, dataset)


def _listed(methods: Sequence[str]) -> str:
    return ", ".join(methods) if len(methods) <= 4 else f"{len(methods)} methods"


def _study_name(scenarios: Sequence[Scenario]) -> str:
    """Return what the study is to be called: as its runs, or by what it does."""
    first = scenarios[0]
    methods = list(dict.fromkeys(scenario.method.label for scenario in scenarios))
    return first.name or f"{_listed(methods)} on {first.data.source.title}"


def _fingerprint(scenarios: Sequence[Scenario]) -> str:
    every = "/".join(scenario.digest() for scenario in scenarios)
    return f"{hashlib.sha256(every.encode()).hexdigest()}/{scenarios[0].name}"


def _launch(scenarios: Sequence[Scenario], fingerprint: str, *, insists: bool) -> None:
    """Queue them once: however often the button is pressed, the key stays the same.

    What another tab has just launched is queued again only for someone who insists.
    """
    keys = st.session_state.setdefault(_KEYS, {})
    key = keys.setdefault(fingerprint, uuid4().hex)
    try:
        with _one_at_a_time:
            elsewhere = None if insists else _started_elsewhere(scenarios[0], fingerprint)
            st.session_state[_ELSEWHERE] = elsewhere
            if elsewhere is not None:
                return
            launched = _submitted(scenarios, fingerprint, key)
    except UserError as error:
        st.error(f"Nothing was queued. {literal(str(error))}", icon=":material/block:")
        return
    cached.forget_runs()
    st.session_state[_LAUNCHED] = launched


def _started_elsewhere(first: Scenario, fingerprint: str) -> _Elsewhere | None:
    with cached.database().read() as session:
        found = started_lately(session, first.digest(), ACTOR, LATELY)
    if found is None or found[0] in st.session_state.get(_HERE, ()):
        return None
    return _Elsewhere(fingerprint, *found)


def _submitted(scenarios: Sequence[Scenario], fingerprint: str, key: str) -> _Launched:
    here = st.session_state.setdefault(_HERE, set())
    if len(scenarios) == 1:
        run = submit(scenarios[0], actor=ACTOR, idempotency_key=key)
        here.add(run.run_id)
        return _Launched(fingerprint, run.run_id, None, run.rung)
    study = submit_study(_study_name(scenarios), scenarios, actor=ACTOR, idempotency_key=key)
    here.update(study.run_ids)
    return _Launched(fingerprint, study.run_ids[0], study.name, study.rung)


def _draw_elsewhere(fingerprint: str) -> None:
    found: _Elsewhere | None = st.session_state.get(_ELSEWHERE)
    if found is None or found.fingerprint != fingerprint:
        return
    st.warning(
        f"Nothing was queued: already started {found.seconds:.0f} s ago by another tab.",
        icon=":material/tab_unselected:",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        _link("views/run.py", "Open that run", {"id": found.run_id})
        st.button("Launch another", key="insist", on_click=_insist, args=(fingerprint,))


def _insist(fingerprint: str) -> None:
    st.session_state[_INSISTED] = fingerprint
    st.session_state.pop(_ELSEWHERE, None)


def _draw_launched(fingerprint: str) -> None:
    launched: _Launched | None = st.session_state.get(_LAUNCHED)
    if launched is None or launched.fingerprint != fingerprint:
        return
    told = "Queued; a worker takes it as soon as one is free" if launched.rung else UNHEARD
    what = f"Study *{literal(launched.study)}*. " if launched.study else ""
    st.success(f"{what}{told}.", icon=":material/check_circle:")
    with st.container(horizontal=True, vertical_alignment="center"):
        if launched.study is None:
            _link("views/run.py", "Open the run", {"id": launched.run_id})
        else:
            _link("views/studies.py", "Open the study", {"study": launched.study})
        st.button("Prepare it once more", key="again", on_click=_again, args=(fingerprint,))


def _link(page: str, label: str, query: dict[str, str]) -> None:
    st.page_link(page, label=label, icon=":material/open_in_full:", query_params=query)


def _again(fingerprint: str) -> None:
    """Forget a launch, so that the same can be launched once more."""
    st.session_state.get(_KEYS, {}).pop(fingerprint, None)
    st.session_state.pop(_LAUNCHED, None)
