"""What a person sees of a dataset before and after it is added: classes, images, what was found."""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from app.components.page import show_frame
from app.text.format import count
from app.text.markdown import literal
from engine.data.added.dataset import AddedDataset
from engine.errors import UserError
from engine.names import visible

PER_CLASS = 10
CLASSES_AT_A_TIME = 10
TILE = 72
"""Pixels of the screen that an image is about as wide as."""


def in_short(one: AddedDataset) -> str:
    """Return sizes and numbers in one line."""
    kind = "grey" if one.channels == 1 else "in colour"
    return (
        f"{count(one.facts.num_train, 'training image')} and {one.facts.num_test:,} of the test "
        f"part, {one.size} x {one.size} {kind}, {len(one.class_names):,} classes"
    )


def draw_dataset(one: AddedDataset, key: str) -> None:
    """Draw what was found, the images of each class, and how many there are."""
    st.markdown(literal(in_short(one)))
    for line in one.facts.findings:
        st.markdown(f":material/info: {literal(line)}")
    sheets, table = st.columns([3, 2], gap="large")
    with sheets:
        _draw_sheets(one, key)
    with table:
        _draw_counts(one, key)
    with_noise = " Its given labels differ from the true ones in places." * one.knows_its_noise
    st.caption(literal(f"Fingerprint {one.facts.fingerprint[:16]}.{with_noise}"))


def _draw_counts(one: AddedDataset, key: str) -> None:
    st.markdown("**Images of each class**")
    table = pd.DataFrame(
        {"class": one.class_names, "train": one.train_counts, "test": one.test_counts}
    )
    show_frame(
        table,
        key=f"{key}-counts",
        hide_index=True,
        height="content" if len(table) <= 12 else 440,
        column_config={"class": "Class", "train": "Training", "test": "Test"},
        alt="Images of each class in the training part and in the test part",
    )


def _draw_sheets(one: AddedDataset, key: str) -> None:
    pages = math.ceil(len(one.class_names) / CLASSES_AT_A_TIME)
    st.markdown("**Some training images of each class**")
    page = 1
    if pages > 1:
        options = range(1, pages + 1)
        page = st.selectbox(
            "Classes", options, key=f"{key}-page", format_func=lambda p: _classes_in_words(one, p)
        )
    first = (page - 1) * CLASSES_AT_A_TIME
    try:
        sheets = _sheets(one.facts.fingerprint, first, one)
    except UserError as error:
        st.error(literal(str(error)), icon=":material/broken_image:")
        return
    for name, sheet in zip(one.class_names[first:], sheets, strict=False):
        st.image(
            sheet, width="content", alt=f"Training images of {visible(name)}", output_format="PNG"
        )
        st.markdown(f":small[{literal(name)}]")


def _classes_in_words(one: AddedDataset, page: int) -> str:
    some = one.class_names[(page - 1) * CLASSES_AT_A_TIME :][:CLASSES_AT_A_TIME]
    return f"{visible(some[0])} to {visible(some[-1])}"


@st.cache_data(ttl=600, max_entries=16, show_spinner=False)
def _sheets(fingerprint: str, first: int, _one: AddedDataset) -> list[npt.NDArray[np.uint8]]:
    """Return a row of images of some classes, from a place on; few of each are read."""
    train = _one.load(_one.place)[0]
    found = []
    for index in range(first, min(first + CLASSES_AT_A_TIME, len(_one.class_names))):
        rows = np.flatnonzero(train.true_labels == index)
        chosen = rows[np.linspace(0, len(rows) - 1, min(PER_CLASS, len(rows))).round().astype(int)]
        found.append(np.concatenate([_tile(image) for image in train.images[chosen]], axis=1))
    return found


def _tile(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return an image (channels, h, w) as (height, width, 3), with a gap to its right."""
    side = image.shape[-1]
    shown = np.moveaxis(image, 0, -1)[:: max(side // TILE, 1), :: max(side // TILE, 1)]
    shown = shown.repeat(3 // shown.shape[-1], axis=-1)
    times = max(TILE // side, 1)
    large = shown.repeat(times, axis=0).repeat(times, axis=1)
    return np.pad(large, ((0, 0), (0, 4), (0, 0)), constant_values=128)
