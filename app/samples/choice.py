"""What the page looks at, all of it in the link."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import streamlit as st

from app.compare.choice import choose_one, choose_some, keep
from app.data import cached
from app.data.cached import Mark
from app.samples import reads
from app.samples.tables import Filter, Range, sizes
from app.text.labels import LABEL_GROUPS
from app.text.labels import quantity as name_of
from db.reads.rows import RunDetail
from engine.meta.characteristics import NAMES

BOTH = "both"
GROUPS = {BOTH: "Right and wrong", "all": "All", "clean": "Right", "flipped": "Wrong"}
SIZES = {"all": "All", "head": "Head", "tail": "Tail"}
MOST_CHOSEN = 200


@dataclass(frozen=True)
class Look:
    """What was chosen: a run, an epoch, a quantity, and whose samples.

    Attributes:
        labels: One of `GROUPS`.
        size: One of `SIZES`.
        chosen: Classes that were named; empty is all.
        size_of: Whether each class is of the head or the tail; empty where classes are alike.
    """

    run: RunDetail
    epoch: int
    quantity: str
    labels: str
    size: str
    chosen: tuple[int, ...]
    size_of: tuple[str, ...]

    @property
    def reached(self) -> Mark:
        return cached.mark(self.run)

    @property
    def names(self) -> list[str]:
        return cached.class_names(self.run)

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes that are meant, where not all of them are."""
        everyone = range(len(self.size_of))
        of_size = [index for index in everyone if self.size_of[index] == self.size]
        if self.size == "all" or not of_size:
            return self.chosen
        named = [index for index in of_size if index in self.chosen]
        return tuple(named or of_size)

    @property
    def groups(self) -> list[str]:
        """The label groups to draw."""
        return ["clean", "flipped"] if self.labels == BOTH else [self.labels]

    @property
    def samples(self) -> Filter:
        """Whose samples are meant."""
        return Filter("all" if self.labels == BOTH else self.labels, self.classes)


def choose_view(run: RunDetail, epochs: list[int]) -> Look:
    """Ask what to look at in a run that has recorded these epochs."""
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with right:
        epoch = choose_epoch(epochs)
    with left:
        known = reads.quantities(run.id, cached.mark(run), epoch)
        quantity = str(choose_one("Quantity", "quantity", {name: name_of(name) for name in known}))
    size_of = tuple(sizes(cached.fact(run, "true_class_counts") or []))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        labels = _choose_labels(run, quantity, epoch)
        size = _choose_size(size_of)
        names = cached.class_names(run)
        options = {str(index): name for index, name in enumerate(names)}
        chosen = choose_some("Classes", "classes", options, most=MOST_CHOSEN, placeholder="All")
    return Look(run, epoch, quantity, labels, size, tuple(int(index) for index in chosen), size_of)


def choose_epoch(epochs: list[int]) -> int:
    """Return an epoch; the newest, and every newer one that comes, unless the link names one."""
    wanted = st.query_params.get("epoch", "")
    epoch = int(wanted) if wanted.isdecimal() and int(wanted) in epochs else epochs[-1]
    if len(epochs) == 1:
        return epoch
    st.session_state["choice-epoch"] = epoch
    st.select_slider("Epoch", epochs, key="choice-epoch", on_change=_keep_epoch, args=(epochs[-1],))
    return epoch


def _keep_epoch(newest: int) -> None:
    epoch = st.session_state["choice-epoch"]
    keep("epoch", None if epoch == newest else str(epoch))


def _choose_labels(run: RunDetail, quantity: str, epoch: int) -> str:
    table = reads.distributions(run.id, cached.mark(run), quantity, epoch=epoch)
    if not {"clean", "flipped"} <= set(table["label_group"]):
        return "all"
    return _segments("Labels", "labels", GROUPS, default=BOTH)


def _choose_size(size_of: tuple[str, ...]) -> str:
    if not size_of:
        return "all"
    return _segments("Class size", "size", SIZES, default="all")


def _segments(label: str, name: str, options: dict[str, str], *, default: str) -> str:
    wanted = st.query_params.get(name, default)
    st.session_state[f"choice-{name}"] = wanted if wanted in options else default
    chosen = st.segmented_control(
        label,
        list(options),
        key=f"choice-{name}",
        required=True,
        format_func=lambda key: options[key],
        on_change=_keep_segment,
        args=(name, default),
        width="content",
    )
    return str(chosen or default)


def _keep_segment(name: str, default: str) -> None:
    chosen = st.session_state[f"choice-{name}"]
    keep(name, None if chosen in (None, default) else str(chosen))


def choose_trait(columns: cached.Columns, default: str) -> str:
    """Return the characteristic that a weight is drawn over."""
    options = {name: name_of(name) for name in NAMES if name in columns}
    ordered = {default: options[default], **options} if default in options else options
    return str(choose_one("Characteristic", "trait", ordered))


def choose_range(label: str, name: str, values: npt.NDArray[Any]) -> Range | None:
    """Return the part of the values' range that is wanted; None is all of it."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return None
    wanted = read_range(st.query_params.get(name, ""))
    start, end = (low, high) if wanted is None else np.clip(wanted, low, high).tolist()
    st.session_state[f"choice-{name}"] = (start, end)
    st.slider(
        label,
        low,
        high,
        key=f"choice-{name}",
        step=(high - low) / 200,
        format="%.3g",
        on_change=_keep_range,
        args=(name, low, high),
    )
    return None if wanted is None else (start, end)


def _keep_range(name: str, low: float, high: float) -> None:
    start, end = st.session_state[f"choice-{name}"]
    keep(name, None if (start, end) == (low, high) else write_range(start, end))


def write_range(low: float, high: float) -> str:
    """Write a range as it stands in the link: ``0.25..0.5``."""
    return f"{low:.6g}..{high:.6g}"


def read_range(text: str) -> Range | None:
    """Read what `write_range` wrote; None where the link says something else."""
    low, dots, high = text.partition("..")
    try:
        found = float(low), float(high)
    except ValueError:
        return None
    return found if dots and found[0] <= found[1] else None


def named_group(labels: str) -> str:
    return GROUPS[BOTH] if labels == BOTH else LABEL_GROUPS[labels]
