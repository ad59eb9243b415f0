"""Can the robust accuracy be believed? A run's security curves and masking checks."""

import pandas as pd
import streamlit as st

from app.charts.base import charts
from app.components.page import show_chart, show_table
from app.data import evaluations as looks
from app.text.evaluation_card import ball, words_of
from app.text.format import count, percent
from app.text.markdown import literal
from db.reads.rows import EvaluationRow, RunDetail
from engine.numbers import in_255ths


def draw(run: RunDetail, found: list[EvaluationRow]) -> None:
    """Draw the newest curve and the newest checks, if there are any."""
    newest = {row.kind: row for row in found}
    if "curve" in newest:
        _draw_curve(run, newest["curve"])
    if "masking" in newest:
        _draw_masking(newest["masking"])


def _draw_curve(run: RunDetail, row: EvaluationRow) -> None:
    assert row.findings is not None
    table = looks.curve(run.id, row.findings)
    st.subheader("How far does the robustness reach?", anchor=False)
    average = table[table["name"] == "average"].sort_values("epsilon")
    lost = average[average["value"] < average["value"].iloc[0] / 2]
    norm = str(row.card.get("norm", "linf"))
    half = (
        f"Half of the clean accuracy is lost at {ball(norm, lost['epsilon'].iloc[0])}."
        if len(lost)
        else "More than half of the clean accuracy is left at the largest radius."
    )
    st.caption(f"{half} Bands are 95 % intervals. {literal(words_of(row.card))}.")
    alt = "Robust accuracy over the radius: " + ", ".join(
        f"{percent(value)} at {in_255ths(epsilon)}"
        for epsilon, value in zip(average["epsilon"], average["value"], strict=True)
    )
    show_chart(charts()["security_curve"].draw(table), key="curve", alt=alt)
    show_table(table, key="curve", file_name=f"curve-{run.id[:8]}.csv")


def _draw_masking(row: EvaluationRow) -> None:
    """Say of each check whether it passed, and why."""
    assert row.findings is not None
    checks = pd.DataFrame(row.findings["checks"])
    failed = int((~checks["passed"].astype(bool)).sum())
    st.subheader("Does the model only hide its gradients?", anchor=False)
    st.markdown(
        f"No sign of it: it passes {count(len(checks), 'check')}."
        if not failed
        else f"**{failed} of {count(len(checks), 'check')} failed: the robust accuracy may be an "
        "illusion.**"
    )
    for check in checks.to_dict("records"):
        icon = ":green[:material/check_circle:]" if check["passed"] else ":red[:material/cancel:]"
        said = "Passed" if check["passed"] else "Failed"
        st.markdown(f"{icon} {said}: {literal(check['name'])}. {literal(check['reason'])}")
    st.caption(f"{literal(words_of(row.card))}.")
