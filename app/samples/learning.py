"""What a weight follows, and whether it finds the wrong labels."""

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from app.charts.base import CONFIG, charts
from app.compare.choice import keep
from app.components.page import show_chart, show_table
from app.data import cached
from app.samples import reads, words
from app.samples.by_class import axis_title, in_units
from app.samples.choice import Look, choose_trait, write_range
from app.samples.tables import Filter
from app.text.labels import quantity as name_of
from app.text.markdown import literal
from engine.inspection.distributions import ASSIGNMENT
from engine.inspection.label_noise import Roc
from engine.meta.characteristics import NAMES

REFERENCES = ("loss", "margin")


def draw_learned(look: Look) -> str | None:
    """Draw the quantity over a characteristic, and return which one was chosen, if there is any."""
    follows = look.quantity in ASSIGNMENT
    title = "What did the weights follow?" if follows else "What goes with it?"
    st.subheader(title, anchor=False)
    columns = reads.columns(look.run.id, look.run.attempt, look.epoch)
    if not any(name in columns for name in NAMES):
        st.caption(
            f"{literal(look.run.method)} has no weighting network and reads no characteristics of "
            "the samples: none were recorded, and there is nothing that its weights could follow."
        )
        return None
    trait = choose_trait(columns, "margin" if look.quantity == "loss" else "loss")
    wanted = Filter(look.samples.labels, look.classes, trait=trait)
    table = reads.learned(
        look.run.id, look.run.attempt, look.epoch, quantity=look.quantity, wanted=wanted
    )
    if table.empty:
        st.info("No sample meets this choice.", icon=":material/filter_alt_off:")
        return trait
    st.markdown(f"**{literal(words.followed(table, look.quantity, trait))}**")
    network = reads.network_curve(
        look.run.id, look.reached, look.epoch, quantity=look.quantity, trait=trait
    )
    _say_network(look, network.why_not)
    if len(network.table):
        curve = network.table.assign(layer="network")
        table = pd.concat([table, curve], ignore_index=True)
    _draw_density(look, table, trait)
    return trait


def _say_network(look: Look, why_not: str) -> None:
    if why_not:
        text = f"Without the network's own curve. {literal(why_not)}."
    else:
        text = (
            "Dashed: the network as the epoch left it, asked what it would give if all samples had "
            "the same value and everything else stayed (partial dependence)."
        )
    about = " Drag a box to list its samples below." if look.quantity in ASSIGNMENT else ""
    st.caption(f"{text}{about}")


def _draw_density(look: Look, table: pd.DataFrame, trait: str) -> None:
    figure = charts()["characteristic_weight"].draw(
        in_units(table, look.quantity, ["y", "low", "high"])
    )
    figure.update_layout(
        xaxis={"title": {"text": name_of(trait)}},
        yaxis={"title": {"text": axis_title(look.quantity)}},
    )
    st.plotly_chart(
        figure,
        key="density",
        config=CONFIG,
        on_select=partial(_keep_box, look.quantity),
        selection_mode="box",
        alt=f"{name_of(look.quantity)} over {name_of(trait)}: density and mean of the samples",
    )
    means = table[table["layer"] != "cell"]
    name = f"samples-{look.run.id[:8]}-{look.quantity}-by-{trait}-epoch-{look.epoch}.csv"
    show_table(means.reset_index(drop=True), key="density", file_name=name)


def _keep_box(quantity: str) -> None:
    """Write the box that was drawn into the link, as the ranges of both axes."""
    boxes: Any = st.session_state["density"]["selection"]["box"]
    if not boxes:
        keep("trait-range", None)
        keep("weight-range", None)
        return
    unit = 255 if quantity == "bound" else 1
    for name, axis, scale in (("trait-range", "x", 1), ("weight-range", "y", unit)):
        low, high = sorted(float(end) / scale for end in boxes[0][axis])
        keep(name, write_range(low, high))


def draw_detection(look: Look) -> None:
    """Draw how well the quantity finds the wrong labels, beside what finds them without it."""
    st.subheader("Does it find the wrong labels?", anchor=False)
    rocs = found(look)
    if not rocs:
        st.caption(_why_no_curve(look))
        return
    st.markdown(f"**{literal(words.detected(rocs, look.quantity))}**")
    if look.quantity in rocs:
        st.markdown(literal(words.follows(rocs[look.quantity], look.quantity)))
        st.markdown(literal(words.at_ten_percent(rocs[look.quantity], look.quantity)))
    st.caption(
        "Labels were flipped on purpose, so it is known which are wrong. Loss and margin are the "
        "usual references and rank as confident learning's own scores do (self-confidence, "
        "normalised margin), but here by a model that trained on these very images. Confident "
        "learning itself needs each image's probabilities from a model that never saw it; a run "
        "stores none, so its curve is not here. Within a class: the chance that a wrong label is "
        "more doubted than a right one of its own given label, classes counted by their wrong "
        "labels."
    )
    table = pd.concat([_rows(name, curve) for name, curve in rocs.items()], ignore_index=True)
    alt = f"ROC of finding wrong labels: {words.detected(rocs, look.quantity)}"
    show_chart(charts()["detection_roc"].draw(table), key="roc", alt=alt)
    name = f"samples-{look.run.id[:8]}-roc-epoch-{look.epoch}.csv"
    show_table(table, key="roc", file_name=name)
    _tell_classes(look, rocs)


def _tell_classes(look: Look, rocs: dict[str, Roc]) -> None:
    """Tell the area within each class that has both kinds of labels."""
    tables = [
        pd.DataFrame(
            {
                "name": name,
                "class": [cached.class_name(look.names, int(label)) for label in order.classes],
                "auc": order.per_class,
            }
        )
        for name, curve in rocs.items()
        if (order := curve.within) is not None
    ]
    if tables:
        st.markdown("**Area within each class**")
        wide = pd.concat(tables).pivot_table(index="class", columns="name", values="auc")
        file = f"samples-{look.run.id[:8]}-auc-by-class-epoch-{look.epoch}.csv"
        show_table(wide.reset_index(), key="roc-classes", file_name=file)


def found(look: Look) -> dict[str, Roc]:
    """Return the curves of the quantity and of the references, those that there are."""
    wanted = Filter(classes=look.classes)
    names = dict.fromkeys((look.quantity, *REFERENCES))
    curves = {
        name: reads.detection(
            look.run.id, look.run.attempt, look.epoch, quantity=name, wanted=wanted
        )
        for name in names
    }
    return {name: curve for name, curve in curves.items() if curve is not None}


def _why_no_curve(look: Look) -> str:
    columns = reads.columns(look.run.id, look.run.attempt, look.epoch)
    if "true_label" not in columns:
        return "This run did not record whose labels are wrong."
    if (columns["given_label"] == columns["true_label"]).all():
        return "No label noise was injected into this run: there is nothing to find."
    return (
        f"{name_of(look.quantity)} is the same for all of these samples, so it finds nothing, and "
        "no characteristic was recorded to compare with."
    )


def _rows(name: str, curve: Roc) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": name,
            "false": curve.false,
            "true": curve.true,
            "threshold": curve.threshold,
            "auc": curve.auc,
            "within": float("nan") if curve.within is None else curve.within.auc,
        }
    )
