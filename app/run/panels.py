"""Which panels a run's history has, and the points of each."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from app.charts.base import charts
from app.run.curves import Panel
from app.text.evaluation_card import under
from app.text.format import percent
from app.text.labels import metric
from engine.evaluation.statistics import wilson
from engine.meta.characteristics import NAMES

MAX_POINTS = 400
"""Of one series: more than a panel is wide would only cost time."""


@dataclass(frozen=True)
class PanelPlan:
    """A panel: its title, the split and the metrics that it shows, and how its axis reads."""

    key: str
    title: str
    split: str
    names: tuple[str, ...]
    tick_format: str = ""
    log: bool = False
    interval: bool = False


PLANS = (
    PanelPlan(
        "errors",
        "Error on validation data",
        "validation",
        ("natural_error", "robust_error"),
        tick_format=".0%",
        interval=True,
    ),
    PanelPlan(
        "worst",
        "Worst class on validation data",
        "validation",
        ("worst_natural_error", "worst_robust_error"),
        tick_format=".0%",
    ),
    PanelPlan("loss", "Training loss", "train", ("batch_loss", "loss")),
    PanelPlan(
        "terms",
        "Terms of the loss",
        "train",
        ("clean_loss", "adversary_loss", "anti_adversary_loss"),
    ),
    PanelPlan("weights", "Mean weight", "train", ("adversary_weight", "anti_adversary_weight")),
    PanelPlan(
        "share",
        "Anti-adversaries",
        "train",
        ("anti_adversary_share", "anti_adversary_share_clean", "anti_adversary_share_flipped"),
        tick_format=".2~%",
    ),
    PanelPlan(
        "by-label",
        "Mean anti-adversary weight",
        "train",
        ("anti_adversary_weight_flipped", "anti_adversary_weight_clean"),
    ),
    PanelPlan(
        "flipped",
        "Wrong labels found, ROC AUC",
        "train",
        ("flipped_auc", "flipped_auc_in_class", "flipped_auc_loss", "flipped_auc_steps"),
    ),
    PanelPlan(
        "importance",
        "What the weights depend on",
        "train",
        tuple(f"importance_{name}" for name in NAMES),
    ),
    PanelPlan(
        "saturation", "Saturated weights", "train", ("saturation_share",), tick_format=".2~%"
    ),
    PanelPlan("meta", "Meta gradient", "train", ("meta_gradient_norm",), log=True),
    PanelPlan("entropy", "Entropy of the policy, nats", "train", ("policy_entropy",)),
    PanelPlan("reward", "Reward of the policy", "train", ("policy_reward",)),
    PanelPlan("rate", "Learning rate", "train", ("learning_rate",)),
)


def panels(
    history: pd.DataFrame, steps_per_epoch: int | None, num_validation: int, *, threat: str = ""
) -> list[Panel]:
    """Return the panels that have data.

    Args:
        history: split, name, step, epoch, value; values are shares of 1 where they are errors.
        steps_per_epoch: To place what is recorded within an epoch; None: read from the history.
        num_validation: Images behind each validation error; 0 where that is not known.
        threat: Norm and radius of the attack on validation data, which robust errors depend on.
    """
    known = history.dropna(subset=["value"])
    steps = steps_per_epoch or _steps_per_epoch(known)
    placed = known.assign(epoch=known["step"] / steps)
    return [
        _panel(_told(plan, threat), table)
        for plan in PLANS
        if len(table := _points(plan, placed, num_validation))
    ]


def _told(plan: PanelPlan, threat: str) -> PanelPlan:
    """Say in a panel's title in which ball its robust errors were measured."""
    robust = any(name.endswith("robust_error") for name in plan.names)
    return replace(plan, title=f"{plan.title}{under(threat)}") if robust else plan


def _steps_per_epoch(history: pd.DataFrame) -> float:
    done = history[history["epoch"] > 0]
    return float((done["step"] / done["epoch"]).max()) if len(done) else 1.0


def _points(plan: PanelPlan, placed: pd.DataFrame, num_validation: int) -> pd.DataFrame:
    """Return name, epoch, value, low, high of a panel's series, in the plan's order."""
    mine = placed[placed["split"] == plan.split]
    found = [_thinned(mine[mine["name"] == name]) for name in plan.names]
    table = pd.concat(found)[["name", "epoch", "value"]]
    if plan.interval and num_validation:
        low, high = wilson(table["value"], np.full(len(table), num_validation))
        return table.assign(low=low, high=high)
    return table.assign(low=np.nan, high=np.nan)


def _thinned(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the smallest and the largest value of each stretch, so that no spike is lost."""
    if len(rows) <= MAX_POINTS:
        return rows
    stretch = np.arange(len(rows)) * (MAX_POINTS // 2) // len(rows)
    values = rows["value"].reset_index(drop=True).groupby(stretch)
    kept = np.union1d(values.idxmin(), values.idxmax())
    return rows.iloc[np.union1d(kept, [0, len(rows) - 1])]


def _panel(plan: PanelPlan, table: pd.DataFrame) -> Panel:
    figure = charts()["learning_curve"].draw(table)
    figure.update_layout(yaxis={"tickformat": plan.tick_format}, showlegend=len(plan.names) > 1)
    if plan.tick_format:
        figure.update_layout(yaxis={"rangemode": "tozero", "hoverformat": ".1%"})
    if plan.log:
        figure.update_layout(yaxis={"type": "log", "dtick": 1, "exponentformat": "power"})
    return Panel(key=plan.key, title=plan.title, alt=_alt(plan, table), figure=figure)


def _alt(plan: PanelPlan, table: pd.DataFrame) -> str:
    last = table.groupby("name", sort=False).last()["value"]
    write = percent if plan.tick_format else "{:.4g}".format
    said = ", ".join(f"{metric(str(name))} now {write(value)}" for name, value in last.items())
    return f"{plan.title}: {said}"
