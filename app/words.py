"""How the pages say things: statuses, numbers, times, and a user's own words."""

import re
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from db.evaluations import FINAL
from tasks.escaping import explained_for_streamlit, for_streamlit

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
    "flipped_auc_loss": "By the loss alone",
    "importance_loss": "Loss",
    "importance_class_loss": "Mean loss of the class",
    "importance_gradient_norm": "Norm of the gradient",
    "importance_margin": "Margin",
    "importance_entropy": "Entropy",
    "importance_class_proportion": "Size of the class",
    "bound": "Bound",
    "saturation_share": "Saturated weights",
    "meta_gradient_norm": "Norm of the meta gradient",
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

NOTHING = "–"  # noqa: RUF001 - an en dash stands for "no value"


def metric(name: str) -> str:
    """Return what a metric is called; a metric of a new method is called by its name's words."""
    return METRICS.get(name) or " ".join(re.findall(r"[^\W_]+", name)).capitalize()


def quantity(name: str) -> str:
    """Return what a weight, the bound or a characteristic of a sample is called."""
    return "Loss" if name == "loss" else metric(name)


def value(name: str, number: float) -> str:
    """Write one value of a quantity; bounds are in 255ths, as everywhere."""
    return f"{255 * number:.1f}/255" if name == "bound" else f"{number:.3g}"


def evaluation(name: str) -> str:
    """Return what an evaluation is called; the run's own is that of its end."""
    return "At the end of training" if name == FINAL else name


def status(name: str) -> StatusWords:
    return STATUSES[name]


def tagged(name: str) -> str:
    """Return a status for a table cell, symbol and word: ``✓ Finished``."""
    words = STATUSES[name]
    return f"{words.symbol} {words.label}"


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share of 1 in percent; nothing where there is no number."""
    if share is None or share != share:  # NaN is the only number unlike itself
        return NOTHING
    return f"{100 * share:.{digits}f} %"


def points(difference: float, digits: int = 0) -> str:
    """Write a difference of two shares in percentage points, with its sign."""
    return f"{100 * difference:+.{digits}f} points"


def count(number: int, one: str, many: str | None = None) -> str:
    """Write ``1 run``, ``12 runs``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Write a length of time in its two largest units: ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


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


def now() -> datetime:
    return datetime.now(UTC)


def ago(moment: datetime | None) -> str:
    """Write how long ago a moment in UTC was."""
    if moment is None:
        return NOTHING
    seconds = (now() - moment).total_seconds()
    return "just now" if seconds < 2 else f"{duration(seconds)} ago"


def eta_seconds(started_at: datetime | None, progress: float, before: float = 0.0) -> float | None:
    """Return the seconds that remain at the pace so far; None while it is too early to say.

    Args:
        started_at: When the attempt in work began.
        progress: Share of all steps done by now.
        before: The share that was done when the attempt began.
    """
    done, to_do = progress - before, 1 - before
    if started_at is None or done <= 0 or done < 0.02 * to_do:
        return None
    elapsed = (now() - started_at).total_seconds()
    return elapsed / done * (1 - progress)


literal, explained = for_streamlit, explained_for_streamlit
