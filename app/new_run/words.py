"""What is said of scenarios before they are launched: what they are, and what they will take."""

from collections.abc import Sequence

import streamlit as st

from app.data import cached
from app.new_run.estimate import estimate, memory_in_words, time_in_words
from app.text.format import count
from app.text.markdown import literal
from db.reads.throughput import TimedRun, timed_runs
from engine.scenario import Scenario


def in_one_line(scenarios: Sequence[Scenario]) -> str:
    """Say what scenarios that differ in method and seed alone are, together."""
    first = scenarios[0]
    methods = list(dict.fromkeys(scenario.method.label for scenario in scenarios))
    seeds = len(scenarios) // len(methods)
    parts = [
        f"{_listed(methods)} on {first.data.source.title}",
        count(first.training.epochs, "epoch"),
        count(int(first.training_counts().sum()), "training image"),
    ]
    if len(scenarios) > 1:
        each = f"{count(len(methods), 'method')} x {count(seeds, 'seed')}"
        parts.append(f"{each} = {len(scenarios)} runs")
    return ", ".join(parts)


def draw_estimate(scenarios: Sequence[Scenario]) -> None:
    """Say how long it will take and what memory it needs, as far as earlier runs tell."""
    first = scenarios[0]
    found = estimate(scenarios, _earlier(first.data.dataset), int(first.training_counts().sum()))
    workers = sum(worker.is_ready for worker in cached.workers())
    told = (time_in_words(found, len(scenarios), workers), memory_in_words(found))
    st.caption(literal(" ".join(told)), help="Measured on runs that finished without a break")


@st.cache_data(ttl=10.0, max_entries=16, show_spinner=False)
def _earlier(dataset: str) -> list[TimedRun]:
    with cached.database().read() as session:
        return timed_runs(session, dataset)


def _listed(methods: Sequence[str]) -> str:
    return ", ".join(methods) if len(methods) <= 4 else f"{len(methods)} methods"


def study_name(scenarios: Sequence[Scenario]) -> str:
    """Return what the study is to be called: as its runs, or by what it does."""
    first = scenarios[0]
    methods = list(dict.fromkeys(scenario.method.label for scenario in scenarios))
    return first.name or f"{_listed(methods)} on {first.data.source.title}"
