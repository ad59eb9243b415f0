"""Some samples whole: the image, its adversary and anti-adversary, and what the method gave it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import data
from app.images import amplification, amplified, enlarged, moved
from app.page import download
from app.words import count, literal, percent
from db.rows import RunDetail

PER_PAGE = 6
ALL = "All classes"


@dataclass(frozen=True)
class Sample:
    """One row of a gallery snapshot."""

    columns: data.Columns
    row: int
    names: list[str]

    def __getitem__(self, column: str) -> Any:
        return self.columns[column][self.row]

    def has(self, column: str) -> bool:
        return column in self.columns

    def label(self, column: str) -> str:
        return data.class_name(self.names, int(self[column]))


def draw(run: RunDetail) -> None:
    """Draw the gallery of the recorded epoch that is nearest to the chosen one."""
    epochs = data.gallery_epochs(run.id, data.mark(run))
    if not epochs:
        return
    wanted = st.session_state.get("epoch") or epochs[-1]
    epoch = min(epochs, key=lambda known: abs(known - int(wanted)))
    columns = data.gallery(run.id, data.mark(run), epoch)
    if columns is None or not len(columns["sample"]):
        return
    names = data.class_names(run)
    samples = [Sample(columns, row, names) for row in range(len(columns["sample"]))]
    st.subheader("Samples", anchor=False)
    shown = _filtered(samples, names)
    factor = amplification([s[d] for s in shown for d in _deltas(s)])
    st.caption(
        f"{count(len(samples), 'training sample')} of epoch {epoch}, chosen by what was learned "
        f"about them. Changes are shown {factor} times enlarged; grey is no change."
    )
    pages = max(-(-len(shown) // PER_PAGE), 1)
    page = 1
    if pages > 1:
        page = min(st.pagination(pages, key="page", bind="query-params"), pages)
    for sample in shown[(page - 1) * PER_PAGE : page * PER_PAGE]:
        _draw_sample(sample, factor)
    download(_table(shown), key="gallery", file_name=f"gallery-{run.id[:8]}-epoch-{epoch}.csv")


def _filtered(samples: list[Sample], names: list[str]) -> list[Sample]:
    present = sorted({int(sample["given_label"]) for sample in samples})
    reasons = list(dict.fromkeys(str(sample["chosen_for"]) for sample in samples))
    left, right = st.columns(2)
    with left:
        chosen = st.selectbox(
            "Given label",
            [ALL, *(data.class_name(names, index) for index in present)],
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
    return [
        sample
        for sample in samples
        if chosen in (ALL, sample.label("given_label"))
        and reason in ("Any reason", str(sample["chosen_for"]))
    ]


def _deltas(sample: Sample) -> list[str]:
    return [name for name in ("adversary_delta", "anti_adversary_delta") if sample.has(name)]


def _draw_sample(sample: Sample, factor: int) -> None:
    with st.container(border=True):
        *tiles, words = st.columns([1, 1, 1, 1, 1, 2.4], vertical_alignment="top")
        image = sample["image"]
        _tile(tiles[0], image, "Image", _told(sample, "prediction", "probability"))
        places = iter(tiles[1:])
        for kind, name in (("adversary", "Adversary"), ("anti_adversary", "Anti-adversary")):
            if sample.has(f"{kind}_delta"):
                delta = sample[f"{kind}_delta"]
                told = _told(sample, f"{kind}_prediction", f"{kind}_probability")
                _tile(next(places), moved(image, delta), name, told)
                _tile(next(places), amplified(delta, factor), "Change", f"enlarged {factor} times")
        with words:
            _say_sample(sample)


def _tile(column: Any, image: Any, title: str, told: str) -> None:
    with column:
        st.image(enlarged(image), width="stretch", alt=f"{title}: {told}", output_format="PNG")
        st.caption(f"**{title}** {literal(told)}")


def _told(sample: Sample, prediction: str, probability: str) -> str:
    """Say what the model thinks, and how sure it is of the given label."""
    if not sample.has(prediction):
        return ""
    given = percent(float(sample[probability]), 0)
    return f"→ {sample.label(prediction)}, P(given) {given}"


def _say_sample(sample: Sample) -> None:
    given, true = sample.label("given_label"), sample.label("true_label")
    flipped = sample["given_label"] != sample["true_label"]
    st.markdown(f"**{literal(given)}** :gray[· sample {int(sample['sample'])}]")
    if flipped:
        st.badge(f"Wrong label: it is {literal(true)}", icon=":material/flag:", color="orange")
    lines = [literal(str(sample["chosen_for"]))]
    for name, title in (
        ("adversary_weight", "adversary weight"),
        ("anti_adversary_weight", "anti-adversary weight"),
    ):
        if sample.has(name):
            lines.append(f"{title} **{float(sample[name]):.3f}**")
    if sample.has("bound"):
        lines.append(f"bound **{_in_255ths(float(sample['bound']))}**")
    st.markdown("  \n".join(lines))


def _in_255ths(bound: float) -> str:
    return f"{255 * bound:.1f}/255"


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
