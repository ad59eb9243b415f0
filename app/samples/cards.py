"""One training sample as a card: its images, and what the method gave it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.components.images import amplification, amplified, enlarged, moved
from app.data import cached
from app.text.format import percent, value
from app.text.labels import quantity as name_of
from app.text.markdown import literal

PER_PAGE = 6
MOST_PAGES = 50


@dataclass(frozen=True)
class Sample:
    """One row of some columns."""

    columns: cached.Columns
    row: int
    names: list[str]

    def __getitem__(self, column: str) -> Any:
        return self.columns[column][self.row]

    def has(self, column: str) -> bool:
        return column in self.columns

    def label(self, column: str) -> str:
        return cached.class_name(self.names, int(self[column]))


def open_page(number: int) -> slice:
    """Offer the pages of so many cards, and return which cards stand on the open one."""
    num_pages, page = min(-(-number // PER_PAGE), MOST_PAGES), 1
    if num_pages > 1:
        page = min(st.pagination(num_pages, key="page", bind="query-params"), num_pages)
    return slice((page - 1) * PER_PAGE, page * PER_PAGE)


def enlargement(samples: Iterable[Sample]) -> int:
    """Return how many times the changes of samples are enlarged when they are drawn together."""
    return amplification([sample[name] for sample in samples for name in deltas(sample)])


def deltas(sample: Sample) -> list[str]:
    return [name for name in ("adversary_delta", "anti_adversary_delta") if sample.has(name)]


def draw_sample(sample: Sample, factor: int) -> None:
    """Draw the image, both copies if they are stored, and the numbers.

    Args:
        sample: Who.
        factor: How much changes are enlarged.
    """
    num_tiles = sample.has("image") + 2 * len(deltas(sample))
    *tiles, words = st.columns([1.0] * num_tiles + [7.4 - num_tiles], vertical_alignment="top")
    if sample.has("image"):
        image = sample["image"]
        _tile(tiles[0], image, "Image", told=_told(sample, "prediction", "probability"))
        places = iter(tiles[1:])
        for kind, name in (("adversary", "Adversary"), ("anti_adversary", "Anti-adversary")):
            if sample.has(f"{kind}_delta"):
                delta = sample[f"{kind}_delta"]
                told = _told(sample, f"{kind}_prediction", f"{kind}_probability")
                _tile(next(places), moved(image, delta), name, told=told)
                _tile(
                    next(places),
                    amplified(delta, factor),
                    "Change",
                    told=f"enlarged {factor} times",
                )
    with words:
        _say_sample(sample)


def _tile(column: Any, image: Any, title: str, *, told: str) -> None:
    with column:
        alt = f"{title}: {told}" if told else title
        st.image(enlarged(image), width="stretch", alt=alt, output_format="PNG")
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
    lines = [literal(str(sample["chosen_for"]))] if sample.has("chosen_for") else []
    for name in ("adversary_weight", "anti_adversary_weight", "clean_weight", "bound", "loss"):
        if sample.has(name):
            lines.append(f"{name_of(name).lower()} **{_written(name, float(sample[name]))}**")
    st.markdown("  \n".join(lines))


def _written(name: str, number: float) -> str:
    return value(name, number) if name == "bound" else f"{number:.3f}"
