"""A study file in the browser: what it would queue, and the click that does."""

import pandas as pd
import streamlit as st

from app.components.page import show_frame
from app.data import cached
from app.scenario.toml_in import LARGEST, parse_toml
from app.studies import reads
from app.studies.plan import plan_of
from app.studies.preset_files import PresetFile, preset_files
from app.text.format import count, duration
from app.text.markdown import literal
from db.studies import Found
from engine.errors import UserError
from engine.study import Cell, cells, read_study
from tasks.queue.submit import NOT_SENT
from tasks.study import ASK_ABOVE, extend_study

ACTOR = "dashboard"
DONE = "study-file-done"
"""Where the session keeps what the last click led to, by the file that it was of."""


def draw_upload() -> None:
    """Take a study file, say what it would queue, and queue it."""
    with st.expander("Launch a study file", icon=":material/upload_file:"):
        st.caption(
            "Methods by scenarios by seeds in one TOML file, as `caat study launch` takes it. What "
            "the study of its name has already is not queued again; what another has trained is "
            "shared."
        )
        file = st.file_uploader("Study file", type=["toml"], key="study-file")
        preset = _ask_preset(disabled=file is not None)
        if file is not None and file.size > LARGEST:
            st.error(f"It is larger than {LARGEST:,} bytes, so it is no study file.")
        elif file is not None:
            _draw_file(file.getvalue(), file.file_id)
        elif preset is not None:
            _draw_file(preset.text.encode(), preset.name)


def _ask_preset(*, disabled: bool) -> PresetFile | None:
    known = {preset.name: preset for preset in preset_files()}
    chosen = st.selectbox(
        "Or one that comes with the program",
        list(known),
        index=None,
        key="study-preset",
        placeholder="The paper's table, every method ...",
        disabled=disabled,
    )
    if chosen is None or disabled:
        return None
    st.caption(literal(known[chosen].description))
    st.download_button(
        "Download it, to change it",
        known[chosen].text,
        file_name=f"{chosen}.toml",
        mime="application/toml",
        icon=":material/download:",
        on_click="ignore",
        key="study-preset-download",
    )
    return known[chosen]


def _draw_file(content: bytes, file_id: str) -> None:
    try:
        name, found = _read(content)
    except UserError as error:
        for line in str(error).split("\n"):
            st.error(literal(line))
        return
    _draw_plan(name, found, file_id)


@st.cache_data(ttl=600.0, max_entries=8, show_spinner="Checking every cell …")
def _read(content: bytes) -> tuple[str, list[Cell]]:
    study = read_study(parse_toml(content, "the file"))
    return study.name, cells(study)


def _draw_plan(name: str, found: list[Cell], file_id: str) -> None:
    plan = plan_of(name, found)
    new, shared = plan.number(Found.NEW), plan.number(Found.SHARED)
    table = pd.DataFrame(
        [
            (scenario, method, *(len(row[kind]) for kind in (Found.NEW, Found.SHARED, Found.THERE)))
            for (scenario, method), row in plan.rows.items()
        ],
        columns=["scenario", "method", "new", "shared", "there"],
    )
    show_frame(
        table,
        key="study-plan",
        hide_index=True,
        column_config={
            "scenario": st.column_config.TextColumn("Scenario"),
            "method": st.column_config.TextColumn("Method"),
            "new": st.column_config.NumberColumn("To queue"),
            "shared": st.column_config.NumberColumn(
                "Shared", help="Another study has trained them, or is about to"
            ),
            "there": st.column_config.NumberColumn("There already"),
        },
        height="content" if len(table) <= 12 else 460,
        alt="Each scenario and method of the file: how many runs are to be queued, are shared with "
        "other studies, and are there already",
    )
    if plan.seconds:
        unknown = f" Not in it, as never measured: {', '.join(plan.unknown)}." * bool(plan.unknown)
        st.caption(
            literal(
                f"About {duration(plan.seconds)} one after the other, and "
                f"{plan.stored_bytes / 2**20:,.0f} MiB of disk, from what earlier runs took."
                f"{unknown}"
            )
        )
    if len(found) > ASK_ABOVE:
        st.warning(
            f"{len(found):,} runs: so many are launched by `caat study launch FILE --yes`.",
            icon=":material/terminal:",
        )
    pressed = st.button(
        f"Queue {count(new, 'run')}" if new else f"Add {count(shared, 'run')} of other studies",
        key="study-launch",
        type="primary",
        disabled=not new + shared or len(found) > ASK_ABOVE,
    )
    if pressed:
        _launch(name, found, file_id)
    of, told = st.session_state.get(DONE, (None, ""))
    if of == file_id:
        st.success(literal(told), icon=":material/check_circle:")
    elif not new + shared:
        st.info(f"*{literal(name)}* has every one of them.", icon=":material/done_all:")


def _launch(name: str, found: list[Cell], file_id: str) -> None:
    """Queue what is new, then draw the page again, on which the study now stands."""
    try:
        done = extend_study(name, found, actor=ACTOR)
    except UserError as error:
        st.error(f"Nothing was queued. {literal(str(error))}", icon=":material/block:")
        return
    cached.forget_runs()
    reads.forget()
    shared = f", {done.shared} shared with others" if done.shared else ""
    told = "" if done.sent else f" {NOT_SENT}."
    said = f"{name}: {count(len(done.run_ids), 'run')} queued{shared}.{told}"
    st.session_state[DONE] = file_id, said
    st.rerun()
