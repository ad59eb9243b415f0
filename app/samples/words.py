"""What the sample page says in words, before it draws."""

import numpy as np
import pandas as pd

from app.samples.tables import mean_of
from app.text.format import percent, value
from app.text.labels import quantity as name_of
from engine.inspection.contributions import Explanation
from engine.inspection.label_noise import SMALL_IS_DOUBTED, Ordering, Roc

ALIKE = 1e-6
"""Relative difference below which values are the same."""


def headline(table: pd.DataFrame, quantity: str, method: str, *, found: Roc | None) -> str:
    """Answer what the method gave whom, in one line.

    Args:
        table: The quantity's distribution, a row per class and label group; ``part`` is head, tail
            or nothing.
        quantity: Which one.
        method: Whose.
        found: How well it tells wrong labels from right ones, where there are any.
    """
    everyone = table[table["label_group"] == "all"]
    same = _shared_value(everyone)
    what = name_of(quantity).lower()
    if same is not None:
        return f"{method} gives every sample the same {what}, {value(quantity, same)}"
    if {"clean", "flipped"} <= set(table["label_group"]):
        return _by_label(table, quantity, found)
    if everyone["part"].ne("").any():
        return _by_size(everyone, quantity)
    ordered = everyone.sort_values("mean").to_dict("records")
    low, high = ordered[0], ordered[-1]
    if high["mean"] - low["mean"] <= ALIKE * abs(high["mean"]):
        return f"{name_of(quantity)}: the same mean in every class, {value(quantity, low['mean'])}"
    return (
        f"{name_of(quantity)}: highest mean in {high['class']} ({value(quantity, high['mean'])}), "
        f"lowest in {low['class']} ({value(quantity, low['mean'])})"
    )


def by_class_only(table: pd.DataFrame, quantity: str) -> str | None:
    """Say that all samples of a class have one value, where that is so and classes differ."""
    everyone = table[table["label_group"] == "all"]
    ends = [(q[0], q[-1]) for q in everyone["quantiles"]]
    if _shared_value(everyone) is not None or not all(_is_alike(*pair) for pair in ends):
        return None
    return f"{name_of(quantity)} differs between classes, not between the samples of a class."


def _shared_value(everyone: pd.DataFrame) -> float | None:
    low = min(q[0] for q in everyone["quantiles"])
    high = max(q[-1] for q in everyone["quantiles"])
    return float(high) if _is_alike(low, high) else None


def _is_alike(low: float, high: float) -> bool:
    return bool(high - low <= ALIKE * max(abs(high), abs(low), 1e-12))


def _by_label(table: pd.DataFrame, quantity: str, found: Roc | None) -> str:
    means = {group: mean_of(rows) for group, rows in table.groupby("label_group")}
    line = (
        f"Wrong labels get mean {name_of(quantity).lower()} {value(quantity, means['flipped'])}, "
        f"right ones {value(quantity, means['clean'])}"
    )
    if found is None:
        return line
    return f"{line}: ROC AUC {_both(found)}"


def _by_size(everyone: pd.DataFrame, quantity: str) -> str:
    means = {size: mean_of(rows) for size, rows in everyone.groupby("part")}
    if "head" not in means or "tail" not in means:
        return f"Mean {name_of(quantity).lower()} {value(quantity, mean_of(everyone))}"
    return (
        f"Tail classes get mean {name_of(quantity).lower()} {value(quantity, means['tail'])}, "
        f"head classes {value(quantity, means['head'])}"
    )


def followed(table: pd.DataFrame, quantity: str, trait: str) -> str:
    """Say how the binned mean of a weight moves along a characteristic."""
    means = table[table["layer"] == "mean"].sort_values("x")
    first, last = means.iloc[0], means.iloc[-1]
    whole = float(means["y"].max() - means["y"].min())
    if whole <= ALIKE * max(abs(float(means["y"].max())), 1e-12) or len(means) < 2:
        return f"{name_of(quantity)} does not change with {name_of(trait).lower()}"
    verb = "rises" if last["y"] > first["y"] else "falls"
    one_way = np.all(np.diff(means["y"]) >= 0) or np.all(np.diff(means["y"]) <= 0)
    note = "" if one_way else ", not steadily"
    return (
        f"With {name_of(trait).lower()} from {first['x']:.3g} to {last['x']:.3g} the mean "
        f"{name_of(quantity).lower()} {verb} from {value(quantity, first['y'])} to "
        f"{value(quantity, last['y'])}{note}"
    )


def detected(rocs: dict[str, Roc], quantity: str) -> str:
    """Say which score finds the wrong labels best, and what the quantity itself reaches."""
    best = max(rocs, key=lambda name: rocs[name].auc)
    if quantity not in rocs:
        return f"{name_of(best)} finds them best here, AUC {_both(rocs[best])}"
    line = f"{name_of(quantity)} finds the wrong labels with AUC {_both(rocs[quantity])}"
    others = [f"{name_of(name).lower()} {_both(rocs[name])}" for name in rocs if name != quantity]
    return "; ".join([line, *others])


def _both(found: Roc) -> str:
    """Say the area over all samples, and within the classes: ``0.58 over all, 0.92 in class``."""
    note = ", worse than a guess" if found.auc < 0.5 else ""
    if found.within is None:
        return f"{found.auc:.2f}{note}"
    return f"{found.auc:.2f} over all{note}, {found.within.auc:.2f} within a class"


def follows(found: Roc, quantity: str) -> str:
    """Say whether a quantity follows the class or the sample, and how sure the areas are."""
    what, share = name_of(quantity), percent(found.between, 0)
    pooled = f"Over all samples the AUC is {found.auc:.2f} ({_interval(found.pooled)})"
    first = "the class" if found.between > 0.5 else "the sample"
    line = f"{what} follows {first} first: {share} of its variance lies between the given labels."
    if found.within is None:
        return f"{line} {pooled}; no class has both right and wrong labels."
    within = f"within a class {found.within.auc:.2f} ({_interval(found.within)})"
    advice = ", so compare samples of one class" if found.between > 0.5 else ""
    return f"{line} {pooled}, {within}{advice}."


def _interval(found: Ordering) -> str:
    return f"95 %: {found.low:.2f} to {found.high:.2f}"


def at_ten_percent(found: Roc, quantity: str) -> str:
    """Say what flagging ten percent of the right labels finds, and from which value on."""
    place = int(np.flatnonzero(found.false <= 0.1)[-1])
    side = "at or below" if quantity in SMALL_IS_DOUBTED else "at or above"
    return (
        f"Flagging all samples {side} {value(quantity, float(found.threshold[place]))} finds "
        f"{percent(float(found.true[place]), 0)} of the wrong labels and takes "
        f"{percent(float(found.false[place]), 0)} of the right ones for wrong."
    )


def why(found: Explanation) -> str:
    """Say how far a sample's weight is from its class's, and which characteristics did most."""
    what, change = name_of(found.quantity), found.weight - found.usual
    line = (
        f"{what} {found.weight:.3f}; with the mean characteristics of its class {found.usual:.3f}"
    )
    if abs(change) <= ALIKE:
        return f"{line}: there is nothing to explain."
    ordered = sorted(found.contributions.items(), key=lambda item: -abs(item[1]))
    parts = [f"{name_of(name).lower()} {share:+.3f}" for name, share in ordered[:3]]
    return f"{line}. Of the difference, {change:+.3f}: {', '.join(parts)}."
