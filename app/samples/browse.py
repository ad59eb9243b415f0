"""The samples themselves: those of a class, a label group, a range; one by one and as files."""

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from app.compare.choice import choose_one, keep
from app.components.page import show_frame
from app.data import cached
from app.data.cached import Columns
from app.samples import reads
from app.samples.cards import Sample, draw_sample, enlargement, open_page
from app.samples.choice import Look, choose_range
from app.samples.details import draw_details
from app.samples.tables import Filter, rows_of, table_of
from app.text.format import count
from app.text.labels import quantity as name_of
from engine.inspection.label_noise import doubt_of, place_in_class

Rows = npt.NDArray[Any]

MOST_ROWS = 1000
"""Of the table; a download has all."""
ORDERS = {
    "high": "Largest {what} first",
    "low": "Smallest {what} first",
    "doubt": "Most doubted of its class first",
    "stored": "Those with stored adversaries first",
}


def draw(look: Look, trait: str | None) -> None:
    """Draw the samples that meet every choice, as cards and as a table."""
    st.subheader("Samples", anchor=False)
    columns = reads.columns(look.run.id, look.run.attempt, look.epoch)
    if "given_label" not in columns:
        st.caption("This run did not record who its training samples are.")
        return
    rows = _choose_rows(look, columns, trait)
    picked = st.container()
    shown = _draw_cards(look, columns, rows) if len(rows) else []
    with picked:
        _draw_picked(look, columns, but=shown)
    if not len(rows):
        st.info("No sample meets this choice.", icon=":material/filter_alt_off:")
        return
    _draw_table(look, columns, rows)


def _choose_rows(look: Look, columns: Columns, trait: str | None) -> Rows:
    """Return the places of the samples that are wanted, in the order that is wanted."""
    weight_range = trait_range = None
    first, second, third = st.columns(3, vertical_alignment="bottom")
    with first:
        weight_range = choose_range(name_of(look.quantity), "weight-range", columns[look.quantity])
    if trait is not None and trait != look.quantity:
        with second:
            trait_range = choose_range(name_of(trait), "trait-range", columns[trait])
    with third:
        what = name_of(look.quantity).lower()
        options = {key: text.format(what=what) for key, text in ORDERS.items()}
        order = choose_one("Order", "order", options)
    meant = look.samples
    wanted = Filter(
        meant.labels, meant.classes, trait or "", trait_range, look.quantity, weight_range
    )
    rows = rows_of(columns, wanted)
    limits = weight_range or trait_range or meant.classes or meant.labels != "all"
    whole = f"of {count(len(columns['sample']), 'training sample')} in epoch {look.epoch}"
    st.markdown(f"**{len(rows):,}** {whole}{' meet the choice' if limits else ''}")
    return _ordered(look, columns, rows, order=str(order))


def _ordered(look: Look, columns: Columns, rows: Rows, *, order: str) -> Rows:
    values = columns[look.quantity][rows]
    if order == "doubt":
        doubt = doubt_of(look.quantity, columns[look.quantity])
        place = place_in_class(doubt, columns["given_label"])
        return rows[np.lexsort((-doubt[rows], -place[rows]))]
    ascending = rows[np.argsort(values, kind="stable")]
    if order == "low":
        return ascending
    descending = ascending[::-1]
    if order != "stored":
        return descending
    stored = np.isin(columns["sample"][descending], list(_stored(look)))
    return np.concatenate([descending[stored], descending[~stored]])


def _stored(look: Look) -> dict[int, Sample]:
    """Return the samples of the epoch whose adversaries are stored, by their number."""
    shown = cached.gallery(look.run.id, look.reached, look.epoch)
    if shown is None:
        return {}
    names = look.names
    return {int(key): Sample(shown, row, names) for row, key in enumerate(shown["sample"])}


def _draw_cards(look: Look, columns: Columns, rows: Rows) -> list[int]:
    """Draw a page of cards, the one that the link names open; return whose they are."""
    shown = [int(row) for row in rows[open_page(len(rows))]]
    samples = {row: _whole(look, columns, row) for row in shown}
    factor = enlargement(samples.values())
    st.caption(
        f"Adversaries are stored for {count(len(_stored(look)), 'chosen sample')} of each recorded "
        "epoch; the others stand here with their training image."
        + (f" Changes are shown {factor} times enlarged." if factor > 1 else "")
    )
    for row, sample in samples.items():
        number = str(int(sample["sample"]))
        is_open = number == st.query_params.get("sample")
        with st.container(border=True, key="picked" if is_open else None):
            draw_sample(sample, factor)
            if is_open:
                draw_details(look, row, number)
                continue
            st.button(
                "History",
                key=f"history-{number}",
                icon=":material/timeline:",
                type="tertiary",
                on_click=keep,
                args=("sample", number),
            )
    return shown


def _whole(look: Look, columns: Columns, row: int) -> Sample:
    """Return one sample with its images: the stored ones, else the dataset's, else none."""
    number = int(columns["sample"][row])
    stored = _stored(look).get(number)
    mine = {name: values[row : row + 1] for name, values in columns.items()}
    if stored is not None:
        of_gallery = {name: v[stored.row : stored.row + 1] for name, v in stored.columns.items()}
        return Sample(mine | of_gallery, 0, look.names)
    image = reads.training_image(look.run.dataset, number, int(mine["true_label"][0]))
    return Sample(mine if image is None else mine | {"image": image[None]}, 0, look.names)


def _draw_table(look: Look, columns: Columns, rows: Rows) -> None:
    shown = table_of(columns, rows[:MOST_ROWS], look.names)
    if len(rows) > MOST_ROWS:
        st.caption(f"The first {MOST_ROWS:,} of {len(rows):,}; the files have all of them.")
    show_frame(
        shown,
        hide_index=True,
        key="samples-table",
        height=320,
        column_config={
            str(name): st.column_config.NumberColumn(format="%.4f")
            for name, column in shown.items()
            if column.dtype.kind == "f"
        },
        selection_mode="single-row",
        on_select=partial(_pick, tuple(shown["sample"].tolist())),
    )
    name = f"samples-{look.run.id[:8]}-epoch-{look.epoch}"
    with st.container(horizontal=True):
        for kind, write in _FILES.items():
            st.download_button(
                f"Download {kind}",
                partial(_file, write, columns, rows, names=look.names),  # made when it is asked for
                file_name=f"{name}.{kind.lower()}",
                icon=":material/download:",
                key=f"samples-{kind.lower()}",
                on_click="ignore",
            )


def _file(
    write: Callable[[pd.DataFrame], bytes], columns: Columns, rows: Rows, *, names: list[str]
) -> bytes:
    return write(table_of(columns, rows, names))


def _as_parquet(table: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()


_FILES: dict[str, Callable[[pd.DataFrame], bytes]] = {"CSV": cached.as_csv, "Parquet": _as_parquet}


def _pick(numbers: tuple[int, ...]) -> None:
    """Look at the sample whose row was clicked: by its number, for rows change their places."""
    rows = st.session_state["samples-table"]["selection"]["rows"]
    keep("sample", str(numbers[rows[0]]) if rows else None)


def _draw_picked(look: Look, columns: Columns, *, but: list[int]) -> None:
    """Draw the sample that the link names, unless it is open among the cards below."""
    wanted = st.query_params.get("sample")
    if wanted is None:
        return
    number = int(wanted) if wanted.isdecimal() else -1
    found = np.flatnonzero(columns["sample"] == number)
    if not len(found):
        st.caption(":material/link_off: This link's sample is not in this run.")
        return
    row = int(found[0])
    if row in but:
        return
    with st.container(border=True, key="picked"):
        sample = _whole(look, columns, row)
        draw_sample(sample, enlargement([sample]))
        draw_details(look, row, wanted)
