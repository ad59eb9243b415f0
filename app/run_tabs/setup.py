"""What exactly was run? The scenario, the protocol, and what was found at the start."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from app.components.page import show_frame, show_table
from app.components.place_fields import place_fields
from app.data import cached
from app.report.download import offer_report
from app.report.run import run_report
from app.run.actions import ACTOR
from app.run.facts import card_rows, fact_rows, shown
from app.run_tabs import exports
from app.scenario.toml_out import as_table, as_toml
from app.text.markdown import literal
from db.models import TRAINING
from db.reads.rows import RunDetail
from db.writes.placement import PLACEABLE
from engine.errors import UserError
from tasks import commands
from tasks.queue.place import Place, in_words


def draw(run: RunDetail) -> None:
    """Draw the scenario beside what the trainer found."""
    left, right = st.columns([3, 2])
    with left:
        _draw_scenario(run)
    with right:
        _draw_place(run)
        _draw_facts(run)
        _draw_card(run)
    _draw_classes(run)


def _draw_scenario(run: RunDetail) -> None:
    trained = run.kind == TRAINING
    st.subheader("Scenario" if trained else "What was taken in", anchor=False)
    show_frame(
        as_table(shown(run)),
        hide_index=True,
        key="scenario-table",
        height=920 if trained else "content",
        column_config={
            "setting": st.column_config.TextColumn("Setting", width=180),
            "value": st.column_config.TextColumn("Value", width=130),
            "meaning": st.column_config.TextColumn("Meaning", width="large"),
        },
    )
    st.download_button(
        "Download as TOML",
        as_toml(shown(run)),
        file_name=f"scenario-{run.id[:8]}.toml",
        mime="application/toml",
        icon=":material/download:",
        key="scenario-toml",
        on_click="ignore",
        help="Runs again, identically, with caat run FILE.toml" if trained else None,
    )
    offer_report(
        "Download report (HTML)",
        lambda: run_report(run.id),
        file_name=f"report-{run.id[:8]}.html",
        holds="Charts, tables, scenario and versions",
    )
    exports.draw(run)


def _draw_place(run: RunDetail) -> None:
    """Say where and when the run is done, and let that be changed while nobody has it."""
    st.subheader("Where and when", anchor=False)
    now = Place(run.queue, run.priority, run.memory_needed)
    whose = f", owner {run.owner}" if run.owner else ""
    st.caption(literal(f"{in_words(now)[:1].upper()}{in_words(now)[1:]}{whose}"))
    if run.status not in PLACEABLE:
        return
    chosen = place_fields(now, f"place-{run.id}")
    changes = chosen is not None and chosen != now
    if st.button("Change", icon=":material/low_priority:", key="place", disabled=not changes):
        assert chosen is not None
        try:
            st.toast(literal(commands.place(run.id, ACTOR, chosen)), icon=":material/info:")
        except UserError as error:
            st.error(literal(str(error)), icon=":material/block:")
        cached.forget_runs()


def _draw_facts(run: RunDetail) -> None:
    st.subheader("What was found", anchor=False)
    rows = fact_rows(run)
    if not rows:
        st.caption("The trainer tells sizes, device and versions when it starts.")
        return
    _pairs(rows, "facts")


def _draw_card(run: RunDetail) -> None:
    st.subheader("Evaluation card", anchor=False)
    if not run.evaluation_card:
        st.caption("The protocol of the test numbers stands here once they are measured.")
        return
    _pairs(card_rows(run.evaluation_card), "card")


def _draw_classes(run: RunDetail) -> None:
    facts = run.facts or {}
    names = cached.class_names(run)
    if not names or "class_counts" not in facts:
        return
    true = facts.get("true_class_counts", facts["class_counts"])
    table = pd.DataFrame({"class": names, "given_label": facts["class_counts"], "true_label": true})
    if "flipped_by_class" in facts:
        table["wrong_share"] = [
            wrong / max(n, 1) for wrong, n in zip(facts["flipped_by_class"], true, strict=True)
        ]
    st.markdown("**Training images by class**")
    show_table(table, key="class-counts", file_name=f"class-counts-{run.id[:8]}.csv")


def _pairs(rows: Mapping[str, str], key: str) -> None:
    table = pd.DataFrame({"what": list(rows), "value": list(rows.values())})
    show_frame(
        table,
        hide_index=True,
        key=key,
        column_config={"what": "Fact", "value": "Value"},
        height="content",
    )
