"""Is it healthy? What ``caat doctor`` finds, and the settings in force."""

import pandas as pd
import streamlit as st

from app.components.page import page, show_frame
from app.text.format import count
from app.text.markdown import explained, literal
from tasks import doctor
from tasks.doctor import Finding

SECONDS = 15.0  # a check is not made again before
IN_TABLES = ("settings", "versions")
DATA = "data "


@page
def render() -> None:
    st.title("System", anchor=False)
    st.caption("Is this installation healthy? The same checks as `caat doctor`.")
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
        if finding.part not in IN_TABLES and not finding.part.startswith(DATA):
            _draw(finding)
    left, right = st.columns(2)
    with left:
        _draw_versions(findings)
    with right:
        _draw_data(findings)
    _draw_settings()


@st.cache_data(ttl=SECONDS, max_entries=2, show_spinner="Looking at every part")
def _look(thorough: bool) -> list[Finding]:
    return doctor.examine(thorough=thorough)


def _say_answer(findings: list[Finding]) -> None:
    bad = [finding.part for finding in findings if not finding.ok]
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
        st.markdown(f"**{literal(finding.part.capitalize())}**", width=130)
        st.markdown(explained(finding.text), width="stretch")


def _draw_versions(findings: list[Finding]) -> None:
    st.subheader("Versions", anchor=False)
    told = next(finding.text for finding in findings if finding.part == "versions")
    rows = [text.partition(" ")[::2] for text in told.split(", ")]
    show_frame(pd.DataFrame(rows, columns=["Package", "Version"]), hide_index=True, key="versions")


def _draw_data(findings: list[Finding]) -> None:
    st.subheader("Datasets", anchor=False)
    rows = [
        (finding.part.removeprefix(DATA), finding.text)
        for finding in findings
        if finding.part.startswith(DATA)
    ]
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
