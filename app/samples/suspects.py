"""Label suspects: who is doubted most, where it is, what the model would say, and the list."""

import io
from functools import partial

import pandas as pd
import streamlit as st

from app.compare.choice import choose_one, keep
from app.components.page import show_frame
from app.data import cached
from app.data.cached import Mark
from app.samples import reads
from app.samples.choice import Look
from app.samples.tables import Filter
from app.text.format import count
from app.text.markdown import explained, literal
from engine.errors import UserError
from tasks.results.export_request import WEIGHT

MOST_ROWS = 500
"""Of the table; a download has all."""
ORDERS = {
    WEIGHT: "The learned weight",
    "loss": "The model's loss",
    "margin": "The model's margin",
    "confidence": "The model's confidence",
}


def draw(look: Look) -> None:
    """Offer the list, and draw it once it is asked for: the model is asked about every image."""
    st.subheader("Label suspects", anchor=False)
    st.caption(
        "Training samples whose given label is doubted, the most doubted of their class first, for "
        "somebody to correct: with their row or file, and what the model would say."
    )
    if look.run.is_active:
        st.caption("The list is made of the model that a run ended with; this one goes on.")
        return
    if st.query_params.get("suspects") is None:
        st.button(
            "Find label suspects",
            icon=":material/rule:",
            key="find-suspects",
            on_click=keep,
            args=("suspects", "on"),
        )
        st.code(
            f"caat export {look.run.id[:8]} --what suspects --out suspects.csv", language="bash"
        )
        return
    by = str(choose_one("Ordered by", "by", ORDERS))
    try:
        table = _suspects(look.run.id, look.reached, by)
    except UserError as error:
        st.info(explained(str(error).removeprefix("RUN: ")), icon=":material/info:")
        return
    _draw_table(look, table, by)


def _draw_table(look: Look, table: pd.DataFrame, by: str) -> None:
    contradicted = int(table["is_label_issue"].sum())
    st.markdown(
        literal(
            f"The model contradicts {count(contradicted, 'label')} of {len(table):,}: it takes the "
            "sample for another class, and is as sure of it as it usually is of that class."
        )
    )
    _warn(look, table, by)
    if len(table) > MOST_ROWS:
        st.caption(f"The first {MOST_ROWS:,} of {len(table):,}; the files have all of them.")
    show_frame(table.head(MOST_ROWS), hide_index=True, key="suspects-table", height=320)
    name = f"suspects-{look.run.id[:8]}-by-{by}"
    with st.container(horizontal=True):
        for label, (write, ending) in _FILES.items():
            st.download_button(
                f"Download {label}",
                partial(write, table, by),
                file_name=f"{name}{ending}",
                icon=":material/download:",
                key=f"suspects-{label.lower()}",
                on_click="ignore",
            )


def _warn(look: Look, table: pd.DataFrame, by: str) -> None:
    """Say that the order is worse than a guess, where noise was put in and so this is known."""
    name = next((name for name in reads.WEIGHTS_FIRST if name in table), None)
    if by != WEIGHT or name is None:
        return
    run, everyone = look.run, Filter()
    found = reads.detection(run.id, run.attempt, look.epoch, quantity=name, wanted=everyone)
    if found is not None and found.within is not None and found.within.auc < 0.5:
        st.caption(
            f":material/warning: Within a class this order is worse than a guess "
            f"(AUC {found.within.auc:.2f}): order by the loss or the margin."
        )


@st.cache_data(ttl=600, max_entries=4, show_spinner="Asking the model about every training image")
def _suspects(run_id: str, reached: Mark, by: str) -> pd.DataFrame:
    from tasks.results.suspects import suspects  # loads torch, only where somebody asks

    return suspects(cached.database(), run_id, by)


def _as_csv(table: pd.DataFrame, by: str) -> bytes:
    return cached.as_csv(table)


def _as_parquet(table: pd.DataFrame, by: str) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()


def _for_cleanlab(table: pd.DataFrame, by: str) -> bytes:
    from tasks.results.suspects import as_cleanlab

    return cached.as_csv(as_cleanlab(table, by))


_FILES = {
    "CSV": (_as_csv, ".csv"),
    "Parquet": (_as_parquet, ".parquet"),
    "cleanlab": (_for_cleanlab, "-cleanlab.csv"),
}
