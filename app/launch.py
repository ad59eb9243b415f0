"""The launch of what the form describes: one run, or a study of several methods and seeds."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import streamlit as st

from app import data
from app.estimate import estimate, memory_in_words, time_in_words
from app.preview import training_counts
from app.words import count, literal
from app.worker_panel import is_ready
from db.throughput import TimedRun, timed_runs
from engine.errors import UserError
from engine.scenario import Scenario
from tasks.study import submit_study
from tasks.submit import UNHEARD, submit

ACTOR = "dashboard"
_KEYS = "launch-keys"
_LAUNCHED = "launched"


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
        elif pressed:
            _launch(scenarios)
        if scenarios:
            _draw_launched(_fingerprint(scenarios))


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
    workers = sum(map(is_ready, data.workers()))
    told = (time_in_words(found, len(scenarios), workers), memory_in_words(found))
    st.caption(literal(" ".join(told)), help="Measured on runs that finished without a break")


@st.cache_data(ttl=10.0, max_entries=16, show_spinner=False)
def _earlier(dataset: str) -> list[TimedRun]:
    with data.database().read() as session:
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


def _launch(scenarios: Sequence[Scenario]) -> None:
    """Queue them once: however often the button is pressed, the key stays the same."""
    fingerprint = _fingerprint(scenarios)
    keys = st.session_state.setdefault(_KEYS, {})
    key = keys.setdefault(fingerprint, uuid4().hex)
    try:
        launched = _submitted(scenarios, fingerprint, key)
    except UserError as error:
        st.error(f"Nothing was queued. {literal(str(error))}", icon=":material/block:")
        return
    data.forget_runs()
    st.session_state[_LAUNCHED] = launched


def _submitted(scenarios: Sequence[Scenario], fingerprint: str, key: str) -> _Launched:
    if len(scenarios) == 1:
        run = submit(scenarios[0], actor=ACTOR, idempotency_key=key)
        return _Launched(fingerprint, run.run_id, None, run.rung)
    study = submit_study(_study_name(scenarios), scenarios, actor=ACTOR, idempotency_key=key)
    return _Launched(fingerprint, study.run_ids[0], study.name, study.rung)


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
