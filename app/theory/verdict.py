"""The chosen claim: what holds of it at the parameters in force, and the rows that it compares."""

from typing import Any

import streamlit as st

from app.components.page import download, show_frame
from app.text.markdown import literal
from app.theory.claims import CLAIMS
from app.theory.form import fill
from app.theory.tables import comparison, in_percent
from engine.theory.mixture import Setting
from engine.theory.solver import solve


def _share(label: str, explained: str) -> Any:
    return st.column_config.NumberColumn(label, format="%.2f %%", width=84, help=explained)


GAP = "Class + less class -, in points"
AVERAGE = "Both classes count alike, whatever their priors"
COLUMNS = {
    "training": st.column_config.TextColumn("Trained with", width=310),
    "b": st.column_config.NumberColumn(
        "b", format="%.4f", width=70, help="The boundary; empty where every sample gets one label"
    ),
    "natural_error_plus": _share("Natural, +", "Natural error of class +"),
    "natural_error_minus": _share("Natural, -", "Natural error of class -"),
    "natural_error_gap": _share("Gap", GAP),
    "natural_error_average": _share("Average", AVERAGE),
    "robust_error_plus": _share("Robust, +", "Robust error of class +"),
    "robust_error_minus": _share("Robust, -", "Robust error of class -"),
    "robust_error_gap": _share("Gap", GAP),
    "robust_error_average": _share("Average", AVERAGE),
}


def draw_menu() -> None:
    """Offer the claims; the chosen one stands in the link, as its parameters do."""
    with st.container(border=True):
        st.caption("Start from a claim: it sets the parameters, and says what holds")
        with st.container(horizontal=True):
            for key, claim in CLAIMS.items():
                st.button(
                    claim.title,
                    key=f"claim-{key}",
                    help=literal(claim.says),
                    type="primary" if chosen() == key else "secondary",
                    on_click=_choose,
                    args=(key,),
                )


def chosen() -> str:
    return st.query_params.get("claim", "")


def _choose(key: str) -> None:
    fill(CLAIMS[key].start)
    st.query_params["claim"] = key


def draw_verdict(setting: Setting) -> None:
    """Say what holds of the chosen claim at these parameters, and draw its rows as a table."""
    claim = CLAIMS.get(chosen())
    if claim is None:
        return
    found = {name: solve(row) for name, row in claim.rows(setting).items()}
    with st.container(border=True, key="claim-box"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"#### {literal(claim.says)}", width="content")
            st.badge(claim.status, color=claim.color)
        st.markdown(literal(claim.limits))
        own = "its own parameters" if setting == claim.start else "the parameters below"
        lines = [f"**At {own}:**"]
        for check in claim.checks(found):
            sign = ":green[:material/check: Holds]" if check.holds else ":red[:material/close: No]"
            lines.append(f"{sign} · {literal(check.text)}")
        st.markdown("  \n".join(lines))
        table = comparison(found)
        show_frame(
            in_percent(table),
            hide_index=True,
            key="claim-rows",
            column_config=COLUMNS,
            alt="Errors of the ways to train that the claim compares",
        )
        download(table, key="claim", file_name=f"theory-{chosen()}.csv")
