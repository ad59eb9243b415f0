"""Is it healthy, and what does it do? Queues, workers, what waits; what ``caat doctor`` finds."""

import pandas as pd
import streamlit as st

from app.components.activity import activity_panel
from app.components.page import follow_database, page, show_frame
from app.data import cached
from app.text.format import count
from app.text.markdown import explained, literal
from db.errors import DatabaseError, SettingsError
from tasks import doctor
from tasks.finding import Finding

SECONDS = 15.0  # a check is not made again before
DATA, SETTINGS, VERSIONS = "data", "settings", "versions"
IN_TABLES = (DATA, SETTINGS, VERSIONS)


@page
def render() -> None:
    st.title("System", anchor=False)
    st.caption("What does this installation do, and is it healthy?")
    st.fragment(_draw_activity, run_every=cached.WATCH_SECONDS)()
    st.subheader("Health", anchor=False)
    st.caption("The same checks as `caat doctor`.")
    with st.container(horizontal=True):
        if st.button("Check again", icon=":material/refresh:", key="again"):
            _look.clear()
        thorough = st.button(
            "Check the database file for damage",
            icon=":material/troubleshoot:",
            key="thorough",
            help="Reads all of a SQLite file: some seconds for every gigabyte",
        )
    findings = _look(thorough)
    _say_answer(findings)
    for finding in sorted(findings, key=lambda finding: finding.ok):
        if not finding.ok or finding.part not in IN_TABLES:
            _draw(finding)
    left, right = st.columns(2)
    with left:
        _draw_versions(findings)
    with right:
        _draw_data(findings)
    _draw_settings()


def _draw_activity() -> None:
    try:
        activity_panel()
    except (SettingsError, DatabaseError):
        st.caption("What goes on cannot be read; the findings say why.")
    else:
        follow_database()


@st.cache_data(ttl=SECONDS, max_entries=2, show_spinner="Looking at every part")
def _look(thorough: bool) -> list[Finding]:
    return doctor.examine(thorough=thorough)


def _say_answer(findings: list[Finding]) -> None:
    bad = [finding.title for finding in findings if not finding.ok]
    checks = count(len(findings), "check")
    if bad:
        st.markdown(f"#### {len(bad)} of {checks} failed: {literal(', '.join(bad))}")
    else:
        st.markdown(f"#### Everything is well: {checks} passed")


def _draw(finding: Finding) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        if finding.ok:
            st.badge("OK", icon=":material/check_circle:", color="green")
        else:
            st.badge("Problem", icon=":material/error:", color="red")
        st.markdown(f"**{literal(finding.title.capitalize())}**", width=130)
        st.markdown(explained(finding.text), width="stretch")


def _draw_versions(findings: list[Finding]) -> None:
    st.subheader("Versions", anchor=False)
    rows = list(next(finding.facts for finding in findings if finding.part == VERSIONS).items())
    show_frame(pd.DataFrame(rows, columns=["Package", "Version"]), hide_index=True, key="versions")


def _draw_data(findings: list[Finding]) -> None:
    st.subheader("Datasets", anchor=False)
    rows = [(finding.of, finding.text) for finding in findings if finding.of]
    show_frame(pd.DataFrame(rows, columns=["Dataset", "State"]), hide_index=True, key="datasets")


def _draw_settings() -> None:
    st.subheader("Settings in force", anchor=False)
    st.caption("From the environment or a `.env`, else the defaults; passwords are hidden.")
    rows = [
        {
            "Variable": setting.variable,
            "Value": setting.value,
            "From": setting.source,
            "Meaning": setting.meaning,
        }
        for setting in doctor.settings_in_force()
    ]
    show_frame(pd.DataFrame(rows), hide_index=True, key="settings", height="content")


render()
