"""What exactly was run? The scenario, the protocol, and what was found at the start."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import data
from app.page import show_table
from app.scenario_file import as_table, as_toml, in_words
from app.words import NOTHING, percent
from db.rows import RunDetail


def draw(run: RunDetail) -> None:
    """Draw the scenario beside what the trainer found."""
    left, right = st.columns([3, 2])
    with left:
        _draw_scenario(run)
    with right:
        _draw_facts(run)
        _draw_card(run)
    _draw_classes(run)


def _draw_scenario(run: RunDetail) -> None:
    st.subheader("Scenario", anchor=False)
    st.dataframe(
        as_table(run.scenario),
        hide_index=True,
        key="scenario-table",
        height=920,
        column_config={
            "setting": st.column_config.TextColumn("Setting", width=180),
            "value": st.column_config.TextColumn("Value", width=130),
            "meaning": st.column_config.TextColumn("Meaning", width="large"),
        },
    )
    st.download_button(
        "Download as TOML",
        as_toml(run.scenario),
        file_name=f"scenario-{run.id[:8]}.toml",
        mime="application/toml",
        icon=":material/download:",
        key="scenario-toml",
        on_click="ignore",
        help="Runs again, identically, with caat run FILE.toml",
    )


def _draw_facts(run: RunDetail) -> None:
    st.subheader("What was found", anchor=False)
    facts = run.facts
    if not facts:
        st.caption("The trainer tells sizes, device and versions when it starts.")
        return
    flipped = facts.get("flipped_labels")
    share = percent(flipped / facts["num_train"]) if flipped and facts.get("num_train") else ""
    rows = {
        "Training images": _number(facts.get("num_train")),
        "Wrong labels among them": f"{_number(flipped)} {f'({share})' if share else ''}".strip(),
        "Validation images": _number(facts.get("num_validation")),
        "Meta images": _number(facts.get("num_meta")),
        "Test images": _number(facts.get("num_test")),
        "Parameters": _number(facts.get("num_parameters")),
        "Steps per epoch": _number(facts.get("steps_per_epoch")),
        "Device": str(facts.get("device", NOTHING)),
        "CPU threads": _number(facts.get("num_threads")),
        "Precision": str(facts.get("precision", NOTHING)),
        "Memory format": str(facts.get("memory_format", NOTHING)).replace("_", " "),
        "Data digest": str(facts.get("data_digest", NOTHING))[:16],
        "Scenario digest": run.scenario_digest[:16],
    }
    rows |= {f"Version of {name}": text for name, text in (facts.get("versions") or {}).items()}
    _pairs(rows, "facts")


def _draw_card(run: RunDetail) -> None:
    st.subheader("Evaluation card", anchor=False)
    if not run.evaluation_card:
        st.caption("The protocol of the test numbers stands here once they are measured.")
        return
    card = {
        key.replace("_", " ").capitalize(): in_words(key, value)
        for key, value in run.evaluation_card.items()
        if value is not None and not isinstance(value, Mapping)  # versions stand with the facts
    }
    _pairs(card, "card")


def _draw_classes(run: RunDetail) -> None:
    facts = run.facts or {}
    names = data.class_names(run)
    if not names or "class_counts" not in facts:
        return
    table = pd.DataFrame(
        {
            "class": names,
            "given_label": facts["class_counts"],
            "true_label": facts.get("true_class_counts", facts["class_counts"]),
        }
    )
    st.markdown("**Training images by class**")
    show_table(table, key="class-counts", file_name=f"class-counts-{run.id[:8]}.csv")


def _pairs(rows: Mapping[str, str], key: str) -> None:
    table = pd.DataFrame({"what": list(rows), "value": list(rows.values())})
    st.dataframe(
        table,
        hide_index=True,
        key=key,
        column_config={"what": "Fact", "value": "Value"},
        height="content",
    )


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else NOTHING
