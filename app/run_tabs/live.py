"""How is it going? The curves of a run, growing while it trains."""

import pandas as pd
import streamlit as st

from app.components.page import nothing_here, show_frame
from app.data import cached
from app.run.curves import live_curves
from app.run.panels import panels
from app.text.evaluation_card import threat_of, threat_of_run, under
from app.text.format import percent
from app.text.labels import NOT_TRAINED
from app.text.markdown import literal
from db.models import TRAINING
from db.reads.rows import RunDetail


def draw(run: RunDetail) -> None:
    """Draw the curves; while the run is active they look for new points by themselves."""
    if run.kind != TRAINING:
        nothing_here("No curves", NOT_TRAINED[run.kind], ":material/model_training:")
        return
    every = cached.REFRESH_SECONDS if run.is_active else None
    st.fragment(_draw_curves, run_every=every)(run.id)
    table = cached.metrics(run.id, cached.mark(run))
    if not table.empty:
        _draw_table(run, table)


def _draw_table(run: RunDetail, table: pd.DataFrame) -> None:
    with st.expander("Table and download", icon=":material/table:", key="history"):
        show_frame(table, hide_index=True, key="history-table")
        st.download_button(
            "Download CSV",
            lambda: cached.as_csv(cached.metrics(run.id, cached.mark(run))),
            file_name=f"history-{run.id[:8]}.csv",
            mime="text/csv",
            icon=":material/download:",
            key="history-csv",
            on_click="ignore",
        )


def _draw_curves(run_id: str) -> None:
    run = cached.run(run_id)
    if run is None:
        return
    history = cached.metrics(run.id, cached.live_mark(run))
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
        cached.fact(run, "steps_per_epoch"),
        cached.fact(run, "num_validation") or 0,
        threat=threat_of(run.scenario),
    )
    live_curves(drawn, key=f"curves-{run.id}")


def _say_where_it_stands(run: RunDetail) -> None:
    if run.robust_error is None:
        st.markdown("**No epoch is finished yet**; the first errors come at its end.")
        return
    names = cached.class_names(run)
    worst = (
        literal(cached.class_name(names, run.worst_class)) if run.worst_class is not None else "?"
    )
    where = "Test data" if run.result_split == "test" else f"Validation data, epoch {run.epoch}"
    st.markdown(
        f"**{percent(run.natural_error)} natural and {percent(run.robust_error)} robust error"
        f"{under(literal(threat_of_run(run)))}**, "
        f"{percent(run.worst_robust_error)} in the worst class (*{worst}*). :gray[{where}.]"
    )
