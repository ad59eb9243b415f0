"""What the pages call things: statuses, metrics, labels, evaluations."""

import re
from typing import Literal, NamedTuple, Protocol

from app.text.format import duration
from db.models import AUDIT, FINAL, IMPORT, TRAINING

BadgeColor = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray"]


class StatusWords(NamedTuple):
    """A status as a person reads it; the symbol is for tables, the icon for badges."""

    label: str
    symbol: str
    icon: str
    color: BadgeColor


STATUSES = {
    "queued": StatusWords("Queued", "○", ":material/schedule:", "gray"),
    "running": StatusWords("Running", "▶", ":material/play_arrow:", "blue"),
    "stopping": StatusWords("Stopping", "■", ":material/stop_circle:", "orange"),
    "interrupted": StatusWords("Interrupted", "▲", ":material/warning:", "orange"),
    "lost": StatusWords("Worker lost", "▲", ":material/warning:", "orange"),
    "succeeded": StatusWords("Finished", "✓", ":material/check_circle:", "green"),
    "failed": StatusWords("Failed", "✗", ":material/error:", "red"),
    "cancelled": StatusWords("Stopped", "◼", ":material/cancel:", "violet"),
    "deleting": StatusWords("Deleting", "…", ":material/delete:", "gray"),
}

METRICS = {
    "loss": "Training loss",
    "batch_loss": "Loss of single batches",
    "clean_loss": "Clean term",
    "adversary_loss": "Adversary term",
    "anti_adversary_loss": "Anti-adversary term",
    "learning_rate": "Learning rate",
    "adversary_weight": "Adversary weight",
    "anti_adversary_weight": "Anti-adversary weight",
    "clean_weight": "Clean weight",
    "anti_adversary_share": "Share of anti-adversaries",
    "anti_adversary_share_clean": "Among right labels",
    "anti_adversary_share_flipped": "Among wrong labels",
    "anti_adversary_weight_clean": "Samples with a right label",
    "anti_adversary_weight_flipped": "Samples with a wrong label",
    "flipped_auc": "By the learned weight",
    "flipped_auc_in_class": "By the learned weight, within a class",
    "flipped_auc_loss": "By the loss alone",
    "flipped_auc_steps": "By the steps withstood",
    "steps_withstood": "Steps withstood",
    "importance_loss": "Loss",
    "importance_class_loss": "Mean loss of the class",
    "importance_gradient_norm": "Norm of the gradient",
    "importance_margin": "Margin",
    "importance_entropy": "Entropy",
    "importance_class_proportion": "Size of the class",
    "bound": "Bound",
    "saturation_share": "Saturated weights",
    "meta_gradient_norm": "Norm of the meta gradient",
    "policy_entropy": "Entropy of the policy",
    "policy_reward": "Mean reward",
    "natural_error": "Natural error",
    "boundary_error": "Boundary error",
    "robust_error": "Robust error",
    "worst_natural_error": "Natural error, worst class",
    "worst_robust_error": "Robust error, worst class",
    "class_loss": "Mean loss of the class",
    "gradient_norm": "Norm of the gradient",
    "margin": "Margin",
    "entropy": "Entropy",
    "class_proportion": "Size of the class",
}

LABEL_GROUPS = {"all": "All labels", "clean": "Right labels", "flipped": "Wrong labels"}


def metric(name: str) -> str:
    """Return what a metric is called; a metric of a new method is called by its name's words."""
    return METRICS.get(name) or " ".join(re.findall(r"[^\W_]+", name)).capitalize()


def quantity(name: str) -> str:
    """Return what a weight, the bound or a characteristic of a sample is called."""
    return "Loss" if name == "loss" else metric(name)


NOT_TRAINED = {
    AUDIT: "This model was trained elsewhere: there is nothing of its training to show. See the "
    "tabs Classes and Attack.",
    IMPORT: "These are predictions of another tool: there is no training and no model here. See "
    "the tabs Classes and Attack.",
}
"""Why a page about training is empty, by the kind of the run."""
_OWN = {AUDIT: "The audit's own attack", IMPORT: "The file's first attack"}


def evaluation(name: str, kind: str = TRAINING) -> str:
    """Return what an evaluation is called; a run's own is that of its end."""
    return _OWN.get(kind, "At the end of training") if name == FINAL else name


class Named(Protocol):
    """What a run's title is made of."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def dataset(self) -> str: ...
    @property
    def seed(self) -> int: ...


def title(run: Named) -> str:
    """Return a run's name as it was given; without a name, and a job, is called by what it does."""
    name = run.name if run.name.strip() else f"{run.method} on {run.dataset}, seed {run.seed}"
    return name if run.kind == TRAINING else f"{run.kind.capitalize()}: {name}"


def status(name: str) -> StatusWords:
    return STATUSES[name]


def tagged(name: str) -> str:
    """Return a status for a table cell, symbol and word: ``✓ Finished``."""
    words = STATUSES[name]
    return f"{words.symbol} {words.label}"


STALLED_SECONDS = 600.0
"""An attempt that has not got on for so long is said to hang."""


def stalled(seconds: float | None) -> str:
    """Say that an attempt does not get on, once it is worth saying; else nothing."""
    if seconds is None or seconds < STALLED_SECONDS:
        return ""
    return f"no progress for {duration(seconds)}"


SILENT_LEASE = 15.0
"""Seconds without a renewed lease after which a worker is said to be cut off, if not its lease
itself is much shorter or longer."""


def cut_off(silent_seconds: float, lease_seconds: float) -> str:
    """Say that a worker does not renew its lease, once it is worth saying; else nothing.

    A worker of this host that is dead is known from its lock long before.
    """
    patience = max(min(SILENT_LEASE, lease_seconds / 2), lease_seconds / 4)
    return "Worker cannot reach the database" if silent_seconds >= patience else ""
