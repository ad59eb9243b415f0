"""What shall I train? A form for a scenario, what it will do to the data, and the launch."""

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from app.charts.base import charts
from app.components.page import page, show_chart, show_frame, title_of
from app.data import cached
from app.forms.presets import PRESETS
from app.forms.session import Seeds, fill, fill_scenario, validated
from app.forms.widgets import scenario_form
from app.new_run.found import draw_found
from app.new_run.launch import draw_launch
from app.new_run.preview import class_counts_table, foreseen, transition_table, wrong_share
from app.new_run.preview_images import draw_images
from app.run.facts import realised_rows
from app.text.format import percent
from app.text.markdown import literal
from engine.data.config import with_meta_set
from engine.names import nearest_name
from engine.scenario import NAME_LENGTH, Scenario

STARTED = "scenario-started"


@page
def render() -> None:
    st.title("New run", anchor=False)
    _start()
    _draw_presets()
    scenarios, errors = validated()
    form, side = st.columns([3, 2], gap="large")
    with form:
        if scenarios:
            draw_found(scenarios)
        scenario_form(errors)
    with side:
        draw_launch(scenarios, errors)
        if scenarios:
            _draw_preview(scenarios[0])


def _start() -> None:
    """Fill the form at the first visit: from the run that the link names, else from a preset."""
    like = st.query_params.get("like")
    if st.session_state.get(STARTED) == (like or True):
        return
    first = STARTED not in st.session_state
    st.session_state[STARTED] = like or True
    filled = like is not None and _fill_like(like)
    if first and not filled:
        fill_scenario(PRESETS["demo"].scenario())


def _fill(scenario: Scenario) -> None:
    """Put one run into the form."""
    fill_scenario(scenario)
    fill(Seeds())


def _fill_like(run_id: str) -> bool:
    """Put a run's scenario into the form, or say why not."""
    run = cached.run(run_id)
    if run is None:
        st.warning("The run to start from is gone.", icon=":material/link_off:")
        return False
    try:
        scenario = Scenario.model_validate(with_meta_set(run.scenario))
        if not scenario.data.source.is_known:
            name = literal(scenario.data.dataset)
            st.warning(
                f"That run was trained on {name}, which is not here any more; the form is as it "
                "was.",
                icon=":material/link_off:",
            )
            return False
        name = nearest_name(scenario.name, NAME_LENGTH)
        _fill(scenario.model_copy(update={"name": name}))
    except ValidationError:
        st.warning(
            "That run was made by another version, whose settings this one cannot read; "
            "the form is as it was.",
            icon=":material/history:",
        )
        return False
    st.toast(f"Filled in from {literal(title_of(run))}", icon=":material/content_copy:")
    return True


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
    fill_scenario(PRESETS[key].scenario())


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
    draw_images(scenario)
    _draw_foreseen(scenario)


def _draw_foreseen(scenario: Scenario) -> None:
    """Say what the fields lead to together, each with what depends on it."""
    rows = realised_rows(foreseen(scenario))
    if scenario.data.noise.ratio > 0:
        rows["Wrong labels"] = percent(wrong_share(scenario))
    st.markdown("**What these fields lead to**")
    table = pd.DataFrame({"what": list(rows), "value": list(rows.values())})
    columns = {"what": "Number", "value": "Value"}
    show_frame(table, hide_index=True, key="foreseen", column_config=columns, height="content")


render()
