"""A study file in the browser: what it would queue, and the click that does."""

import pandas as pd
import streamlit as st

from app.components.page import show_frame
from app.data import cached
from app.scenario.toml_in import LARGEST, parse_toml
from app.studies import reads
from app.text.format import count
from app.text.markdown import literal
from engine.errors import UserError
from engine.study import Cell, cells, read_study
from tasks.queue.submit import NOT_SENT
from tasks.study import extend_study, missing

ACTOR = "dashboard"
DONE = "study-file-done"
"""Where the session keeps what the last click led to, by the file that it was of."""


def draw_upload() -> None:
    """Take a study file, say what it would queue, and queue it."""
    with st.expander("Launch a study file", icon=":material/upload_file:"):
        st.caption(
            "Methods by scenarios by seeds in one TOML file, as `caat study launch` takes it. What "
            "the study of its name has already is not queued again."
        )
        file = st.file_uploader("Study file", type=["toml"], key="study-file")
        if file is None:
            return
        if file.size > LARGEST:
            st.error(f"It is larger than {LARGEST:,} bytes, so it is no study file.")
            return
        try:
            name, found = _read(file.getvalue())
        except UserError as error:
            for line in str(error).split("\n"):
                st.error(literal(line))
            return
        _draw_plan(name, found, file.file_id)


@st.cache_data(ttl=600.0, max_entries=8, show_spinner="Checking every cell …")
def _read(content: bytes) -> tuple[str, list[Cell]]:
    study = read_study(parse_toml(content, "the file"))
    return study.name, cells(study)


def _draw_plan(name: str, found: list[Cell], file_id: str) -> None:
    new = missing(name, [cell.scenario for cell in found])
    table = pd.DataFrame(
        [
            (cell.scenario_name, cell.method_name, cell.seed if is_new else None)
            for cell, is_new in zip(found, new, strict=True)
        ],
        columns=["scenario", "method", "seed"],
    )
    rows = table.groupby(["scenario", "method"], sort=False)["seed"].agg(cells="size", new="count")
    show_frame(
        rows.reset_index(),
        key="study-plan",
        hide_index=True,
        column_config={
            "scenario": st.column_config.TextColumn("Scenario"),
            "method": st.column_config.TextColumn("Method"),
            "cells": st.column_config.NumberColumn("Runs"),
            "new": st.column_config.NumberColumn("To queue"),
        },
        height="content" if len(rows) <= 12 else 460,
        alt="Each scenario and method of the file: its runs, and how many are to be queued",
    )
    pressed = st.button(
        f"Queue {count(sum(new), 'run')}",
        key="study-launch",
        type="primary",
        disabled=not any(new),
    )
    if pressed:
        _launch(name, found, file_id)
    of, told = st.session_state.get(DONE, (None, ""))
    if of == file_id:
        st.success(literal(told), icon=":material/check_circle:")
    elif not any(new):
        st.info(f"*{literal(name)}* has every one of them.", icon=":material/done_all:")


def _launch(name: str, found: list[Cell], file_id: str) -> None:
    """Queue what is new, then draw the page again, on which the study now stands."""
    try:
        done = extend_study(name, [cell.scenario for cell in found], actor=ACTOR)
    except UserError as error:
        st.error(f"Nothing was queued. {literal(str(error))}", icon=":material/block:")
        return
    cached.forget_runs()
    reads.forget()
    told = "" if done.sent else f" {NOT_SENT}."
    said = f"{name}: {count(len(done.run_ids), 'run')} queued.{told}"
    st.session_state[DONE] = file_id, said
    st.rerun()
