"""Some samples whole: the image, its adversary and anti-adversary, and what the method gave it."""

import numpy as np
import pandas as pd
import streamlit as st

from app.components.page import download
from app.data import cached
from app.samples.cards import Sample, draw_sample, enlargement, open_page
from app.text.format import count
from db.reads.rows import RunDetail

ALL = "All classes"


def draw(run: RunDetail) -> None:
    """Draw the gallery of the recorded epoch that is nearest to the chosen one."""
    epochs = cached.gallery_epochs(run.id, cached.mark(run))
    if not epochs:
        return
    wanted = st.session_state.get("epoch") or epochs[-1]
    epoch = min(epochs, key=lambda known: abs(known - int(wanted)))
    columns = cached.gallery(run.id, cached.mark(run), epoch)
    if columns is None or not len(columns["sample"]):
        return
    names = cached.class_names(run)
    samples = [Sample(columns, row, names) for row in range(len(columns["sample"]))]
    st.subheader("Samples", anchor=False)
    shown = _filtered(samples, names)
    factor = enlargement(shown)
    st.caption(
        f"{count(len(samples), 'training sample')} of epoch {epoch}, chosen by what was learned "
        f"about them. Changes are shown {factor} times enlarged; grey is no change."
    )
    for sample in shown[open_page(len(shown))]:
        with st.container(border=True):
            draw_sample(sample, factor)
    download(_table(shown), key="gallery", file_name=f"gallery-{run.id[:8]}-epoch-{epoch}.csv")


def _filtered(samples: list[Sample], names: list[str]) -> list[Sample]:
    present = sorted({int(sample["given_label"]) for sample in samples})
    reasons = list(dict.fromkeys(str(sample["chosen_for"]) for sample in samples))
    left, right = st.columns(2)
    with left:
        chosen = st.selectbox(
            "Given label",
            [ALL, *(cached.class_name(names, index) for index in present)],
            key="class",
            bind="query-params",
        )
    with right:
        reason = st.selectbox(
            "Shown because",
            ["Any reason", *reasons],
            key="reason",
            bind="query-params",
        )
    shown = [
        sample
        for sample in samples
        if chosen in (ALL, sample.label("given_label"))
        and reason in ("Any reason", str(sample["chosen_for"]))
    ]
    return _extremes_first(shown, str(reason))


def _extremes_first(samples: list[Sample], reason: str) -> list[Sample]:
    """Order samples that stand there for the size of their weight by it: the first is the extreme.

    The reasons are read as they were stored, by the word that they begin with.
    """
    word = reason.partition(" ")[0]
    if word not in ("largest", "smallest"):
        return samples
    return sorted(
        samples,
        key=lambda sample: float(sample["anti_adversary_weight"]),
        reverse=word == "largest",
    )


def _table(samples: list[Sample]) -> pd.DataFrame:
    """Return the shown samples without their pixels, one row each."""
    if not samples:
        return pd.DataFrame()
    columns = samples[0].columns
    rows = [sample.row for sample in samples]
    flat = {
        name: np.asarray(values)[rows] for name, values in columns.items() if np.ndim(values) == 1
    }
    return pd.DataFrame(flat)
