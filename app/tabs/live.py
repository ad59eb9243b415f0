"""How is it going? The curves of a run, growing while it trains."""

import pandas as pd
import streamlit as st

from app import data
from app.card import threat_of, threat_of_run, under
from app.live.curves import live_curves
from app.live.panels import panels
from app.page import nothing_here, show_frame
from app.words import literal, percent
from db.rows import RunDetail


def draw(run: RunDetail) -> None:
    """Draw the curves; while the run is active they look for new points by themselves."""
    every = data.REFRESH_SECONDS if run.is_active else None
    st.fragment(_draw_curves, run_every=every)(run.id)
    table = data.metrics(run.id, data.mark(run))
    if not table.empty:
        _draw_table(run, table)


def _draw_table(run: RunDetail, table: pd.DataFrame) -> None:
    with st.expander("Table and download", icon=":material/table:", key="history"):
        show_frame(table, hide_index=True, key="history-table")
        st.download_button(
            "Download CSV",
            lambda: data.as_csv(data.metrics(run.id, data.mark(run))),
            file_name=f"history-{run.id[:8]}.csv",
            mime="text/csv",
            icon=":material/download:",
            key="history-csv",
            on_click="ignore",
        )


def _draw_curves(run_id: str) -> None:
    run = data.run(run_id)
    if run is None:
        return
    history = data.metrics(run.id, data.live_mark(run))
    if history.empty:
        nothing_here(
            "No curves yet",
            "Losses, errors on validation data, the learning rate and the mean weights appear "
            "here as soon as the first steps are done.",
            ":material/show_chart:",
        )
        return
    _say_where_it_stands(run)
    drawn = panels(
        history,
        data.fact(run, "steps_per_epoch"),
        data.fact(run, "num_validation") or 0,
        threat_of(run.scenario),
    )
    live_curves(drawn, key=f"curves-{run.id}")


def _say_where_it_stands(run: RunDetail) -> None:
    if run.robust_error is None:
        st.markdown("**No epoch is finished yet**; the first errors come at its end.")
        return
    names = data.class_names(run)
    worst = literal(data.class_name(names, run.worst_class)) if run.worst_class is not None else "?"
    where = "Test data" if run.result_split == "test" else f"Validation data, epoch {run.epoch}"
    st.markdown(
        f"**{percent(run.natural_error)} natural and {percent(run.robust_error)} robust error"
        f"{under(literal(threat_of_run(run)))}**, "
        f"{percent(run.worst_robust_error)} in the worst class (*{worst}*). :gray[{where}.]"
    )
