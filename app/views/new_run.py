"""What shall I train? A form for a scenario, what it will do to the data, and the launch."""

from uuid import uuid4

import streamlit as st
from pydantic import ValidationError

from app import data
from app.answers import fill, validated
from app.chart import charts
from app.forms import scenario_form
from app.page import page, show_chart, title_of
from app.presets import PRESETS
from app.preview import class_counts_table, training_counts, transition_table
from app.words import count, literal
from engine.errors import UserError
from engine.scenario import Scenario
from tasks.submit import UNHEARD, Submitted, submit

STARTED = "scenario-started"
LAUNCHED = "launched"


@page
def render() -> None:
    st.title("New run", anchor=False)
    _start()
    _draw_presets()
    scenario, errors = validated()
    form, side = st.columns([3, 2], gap="large")
    with form:
        scenario_form(errors)
    with side:
        _draw_launch(scenario, errors)
        if scenario is not None:
            _draw_preview(scenario)


def _start() -> None:
    """Fill the form at the first visit: from the run that the link names, else from a preset."""
    like = st.query_params.get("like")
    if st.session_state.get(STARTED) == (like or True):
        return
    first = STARTED not in st.session_state
    st.session_state[STARTED] = like or True
    if like:
        _fill_like(like)
    elif first:
        fill(PRESETS["demo"].scenario())


def _fill_like(run_id: str) -> None:
    run = data.run(run_id)
    if run is None:
        st.warning("The run to start from is gone.", icon=":material/link_off:")
        return
    try:
        fill(Scenario.model_validate(run.scenario))
    except ValidationError:
        st.warning(
            "That run was made by another version, whose settings this one cannot read; "
            "the form is as it was.",
            icon=":material/history:",
        )
        return
    st.toast(f"Filled in from {literal(title_of(run))}", icon=":material/content_copy:")


def _draw_presets() -> None:
    with st.container(border=True):
        st.caption("Start from")
        with st.container(horizontal=True):
            for key, preset in PRESETS.items():
                st.button(
                    preset.title,
                    key=f"preset-{key}",
                    help=literal(preset.description),
                    on_click=_use_preset,
                    args=(key,),
                )


def _use_preset(key: str) -> None:
    fill(PRESETS[key].scenario())


def _draw_launch(scenario: Scenario | None, errors: dict[str, str]) -> None:
    with st.container(border=True, key="launch-box"):
        if scenario is None:
            st.markdown(f"**{count(len(errors), 'field')} to mend before this can be launched**")
            st.caption(literal("; ".join(f"{path}: {text}" for path, text in errors.items())))
        else:
            st.markdown(f"**{literal(_in_one_line(scenario))}**")
        pressed = st.button(
            "Launch",
            type="primary",
            icon=":material/rocket_launch:",
            key="launch",
            width="stretch",
        )
        if pressed and scenario is None:
            st.error("Nothing was queued.", icon=":material/block:")
        elif pressed and scenario is not None:
            _launch(scenario)
        if scenario is not None:
            _draw_launched(scenario)


def _in_one_line(scenario: Scenario) -> str:
    source = scenario.data.source
    return (
        f"{scenario.method.label} on {source.title}, "
        f"{count(scenario.training.epochs, 'epoch')}, "
        f"{count(int(training_counts(scenario).sum()), 'training image')}"
    )


def _fingerprint(scenario: Scenario) -> str:
    return f"{scenario.digest()}/{scenario.name}"


def _launch(scenario: Scenario) -> None:
    """Queue the scenario once: however often the button is pressed, its key stays the same."""
    keys = st.session_state.setdefault("launch-keys", {})
    key = keys.setdefault(_fingerprint(scenario), uuid4().hex)
    try:
        submitted = submit(scenario, actor="dashboard", idempotency_key=key)
    except UserError as error:
        st.error(f"Nothing was queued. {literal(str(error))}", icon=":material/block:")
        return
    data.forget_runs()
    st.session_state[LAUNCHED] = (_fingerprint(scenario), submitted)


def _draw_launched(scenario: Scenario) -> None:
    launched: tuple[str, Submitted] | None = st.session_state.get(LAUNCHED)
    if launched is None or launched[0] != _fingerprint(scenario):
        return
    submitted = launched[1]
    told = "Queued; a worker takes it as soon as one is free" if submitted.rung else UNHEARD
    st.success(f"{told}.", icon=":material/check_circle:")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            "views/run.py",
            label="Open the run",
            icon=":material/open_in_full:",
            query_params={"id": submitted.run_id},
        )
        st.button("Prepare it once more", key="again", on_click=_again, args=(launched[0],))


def _again(fingerprint: str) -> None:
    """Forget a launch, so that the same scenario can be launched as another run."""
    st.session_state.get("launch-keys", {}).pop(fingerprint, None)
    st.session_state.pop(LAUNCHED, None)


def _draw_preview(scenario: Scenario) -> None:
    counts = class_counts_table(scenario)
    st.markdown("**Training images by given label**")
    alt = "Training images by given label, right and wrong labels apart"
    show_chart(charts()["class_counts"].draw(counts), key="preview-counts", alt=alt)
    if scenario.data.noise.ratio > 0:
        st.markdown("**Label noise**, in percent of each true class")
        alt = "Share of each true class that gets each label"
        figure = charts()["transition_matrix"].draw(transition_table(scenario))
        show_chart(figure, key="preview-noise", alt=alt)


render()
