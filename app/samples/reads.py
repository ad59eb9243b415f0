"""Cached reads for the sample page: aggregates by what they are of, arrays once and shared."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import streamlit as st

from app.data import cached
from app.data.cached import Columns, Mark
from app.samples.tables import Filter, binned, density, rows_of
from db.reads import samples as stored
from db.reads import series
from db.reads.rows import RunDetail
from db.reads.samples import RecordedRow
from engine.data.datasets.base import datasets
from engine.errors import UserError
from engine.inspection.contributions import Explanation
from engine.inspection.distributions import ASSIGNMENT
from engine.inspection.label_noise import Roc, roc
from engine.meta.characteristics import NAMES
from engine.types import ByteArray, ImageSet
from tasks.results import dependence
from tasks.settings import settings

GRID = 40
"""Values at which the network is asked."""
MAX_COURSE = 40
"""Recorded epochs of one sample's history."""
WEIGHTS_FIRST = ("anti_adversary_weight", "adversary_weight", "bound", "clean_weight")


@dataclass(frozen=True)
class Dependence:
    """The network's own curve, or why there is none.

    Attributes:
        why_not: In one line, where there is none.
        table: x and y.
    """

    why_not: str
    table: pd.DataFrame


@dataclass(frozen=True)
class Network:
    """The weighting network as an epoch left it, or why it is not known.

    Attributes:
        why_not: In one line, where there is none.
        run: Whose, where it is known.
        state: What the checkpoint holds of it.
    """

    why_not: str
    run: RunDetail | None = None
    state: dependence.State = field(default_factory=dict)


@st.cache_data(ttl=2.0, max_entries=2, show_spinner=False)
def recorded() -> list[RecordedRow]:
    """Return the runs that have something to show, newest first."""
    with cached.database().read() as session:
        return stored.recorded_runs(session)


@st.cache_data(ttl=10.0, max_entries=2, show_spinner=False)
def most_telling() -> str | None:
    """Return the newest run that gave the samples of a class different weights, if there is one."""
    with cached.database().read() as session:
        return stored.newest_that_tells_samples_apart(session)


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def quantities(run_id: str, reached: Mark, epoch: int) -> list[str]:
    """Return what was recorded of each sample, the weights before the characteristics."""
    with cached.database().read() as session:
        known = stored.quantities(session, run_id, epoch)
    order = (*WEIGHTS_FIRST, *NAMES)
    return [name for name in order if name in known] + sorted(set(known) - set(order))


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def distributions(run_id: str, reached: Mark, quantity: str, *, epoch: int) -> pd.DataFrame:
    """Return one quantity's distribution over each class and label group of an epoch."""
    with cached.database().read() as session:
        table = series.class_summaries(session, run_id, epoch, quantity=quantity)
    return cached.named(run_id, table[table["n"] > 0].reset_index(drop=True))


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def history(run_id: str, reached: Mark, quantity: str, *, classes: tuple[int, ...]) -> pd.DataFrame:
    """Return the same of every recorded epoch, for some classes and without the curves."""
    with cached.database().read() as session:
        table = stored.history(session, run_id, quantity, classes=classes)
    return cached.named(run_id, table[table["n"] > 0].reset_index(drop=True))


@st.cache_resource(ttl=600, max_entries=6, show_spinner=False)
def columns(run_id: str, attempt: int, epoch: int) -> Columns:
    """Return every array of an epoch, with the labels; they are shared, nobody may write."""
    with cached.database().read() as session:
        who = series.snapshot(
            session, run_id, 0, kind="samples", names=["given_label", "true_label"]
        )
        found = series.snapshot(session, run_id, epoch, kind="assignment") or {}
    known = {**found, **(who or {})}
    for values in known.values():
        values.flags.writeable = False
    return known


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def learned(
    run_id: str, attempt: int, epoch: int, *, quantity: str, wanted: Filter
) -> pd.DataFrame:
    """Return a weight over a characteristic: rows of the layers ``cell`` and ``mean``."""
    known = columns(run_id, attempt, epoch)
    rows = rows_of(known, wanted)
    if not len(rows):
        return pd.DataFrame()
    x, y = known[wanted.trait][rows], known[quantity][rows]
    cells = density(x, y).assign(layer="cell")
    return pd.concat([cells, binned(x, y).assign(layer="mean")], ignore_index=True)


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def network_curve(
    run_id: str, reached: Mark, epoch: int, *, quantity: str, trait: str
) -> Dependence:
    """Return how the network's output depends on one characteristic, at one recorded epoch."""
    found = _network(run_id, epoch, quantity=quantity)
    if found.run is None:
        return Dependence(found.why_not, pd.DataFrame())
    known = columns(run_id, found.run.attempt, epoch)
    grid = np.linspace(known[trait].min(), known[trait].max(), GRID, dtype=np.float32)
    curve = dependence.dependence(found.run, found.state, known, name=trait, grid=grid)
    return Dependence("", pd.DataFrame({"x": grid, "y": curve}))


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def explanation(run_id: str, reached: Mark, epoch: int, *, row: int) -> Explanation | str:
    """Return how one sample came to its weight at a recorded epoch, or why that is not known."""
    found = _network(run_id, epoch)
    if found.run is None:
        return found.why_not
    known = columns(run_id, found.run.attempt, epoch)
    return dependence.explanation(found.run, found.state, known, row=row)


def _network(run_id: str, epoch: int, *, quantity: str | None = None) -> Network:
    """Find the network of an epoch, and that it gives the quantity, if one is meant."""
    run = cached.run(run_id)
    network = None if run is None else dependence.learned_weight(run)
    if run is None or network is None:
        return Network("No network reads the six characteristics alone")
    if quantity not in (None, network.quantity):
        name = network.quantity.replace("_", " ")
        return Network(f"The network's own output is the {name}")
    kept = dependence.kept_network(cached.database(), run_id)
    if kept is None:
        return Network("No checkpoint of this run is on this machine")
    if kept[0] != epoch:
        return Network(f"Of the network only epoch {kept[0]} is kept")
    return Network("", run, kept[1])


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def detection(
    run_id: str, attempt: int, epoch: int, *, quantity: str, wanted: Filter
) -> Roc | None:
    """Return how well a quantity tells wrong labels from right ones among some samples."""
    known = columns(run_id, attempt, epoch)
    if quantity not in known or "true_label" not in known:
        return None
    rows = rows_of(known, wanted)
    given = known["given_label"][rows]
    flipped = given != known["true_label"][rows]
    return roc(quantity, known[quantity][rows], flipped, labels=given)


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def course(run_id: str, reached: Mark, row: int) -> pd.DataFrame:
    """Return what one sample got in up to `MAX_COURSE` recorded epochs, first and last among them.

    Columns: epoch, the assignment, loss.
    """
    epochs = cached.summary_epochs(run_id, reached)
    places = np.linspace(0, len(epochs) - 1, min(len(epochs), MAX_COURSE)).round().astype(int)
    wanted = [epochs[place] for place in places]
    with cached.database().read() as session:
        return stored.courses(session, run_id, wanted, names=(*ASSIGNMENT, "loss"), row=row)


@st.cache_resource(ttl=600, max_entries=2, show_spinner="Reading the images")
def training_part(dataset: str) -> ImageSet | None:
    """Return a dataset's official training part, or None where its files are not here."""
    source, folder = datasets().get(dataset), settings().dataset_dir
    if source is None or not source.is_here(folder):
        return None
    try:
        return source.load(folder)[0]
    except UserError:
        return None


def training_image(dataset: str, number: int, true_label: int) -> ByteArray | None:
    """Return the image (channels, h, w) of a training sample, or None where it is not here.

    An image with another label is another image: the files were replaced since.
    """
    part = training_part(dataset)
    if part is None:
        return None
    place = int(np.searchsorted(part.source, number))  # ascending, as every dataset gives it
    there = place < len(part) and part.source[place] == number
    return part.images[place] if there and part.labels[place] == true_label else None
