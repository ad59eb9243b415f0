"""Colours, markers and dashes, fixed by what they stand for and never by order of drawing."""

import zlib
from typing import NamedTuple

from engine.evaluation import error_names

PETROFF_10 = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
"""Ten colours that stay apart for colour-blind readers (Petroff, arXiv 2107.02270)."""

MUTED = "#8b94a3"
"""For what stands in the background: reads on the light and on the dark page."""

SEQUENTIAL = "Cividis"
"""Light is much; the same for readers with and without colour blindness."""

DIVERGING = "PuOr_r"
"""Less, none, more: purple, near white, orange."""

DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "pentagon")


class Style(NamedTuple):
    """How one thing is drawn wherever it appears: colour, marker shape and dash."""

    color: str
    symbol: str
    dash: str


# Okabe and Ito's blue, orange and vermillion, each with a shape and a dash of its own.
NATURAL = Style("#0072b2", "circle", "solid")
BOUNDARY = Style("#e69f00", "triangle-up", "dot")
ROBUST = Style("#d55e00", "diamond", "dash")

ERRORS = dict(zip(error_names.ERRORS, (NATURAL, BOUNDARY, ROBUST), strict=True))

SERIES = {
    **ERRORS,
    "worst_natural_error": NATURAL,
    "worst_robust_error": ROBUST,
    "loss": Style(PETROFF_10[0], "circle", "solid"),
    "batch_loss": Style(MUTED, "circle", "solid"),
    "clean_loss": Style(PETROFF_10[4], "square", "dash"),
    "adversary_loss": Style(PETROFF_10[6], "diamond", "dot"),
    "anti_adversary_loss": Style(PETROFF_10[9], "triangle-up", "dashdot"),
    "clean_weight": Style(PETROFF_10[4], "square", "dot"),
    "adversary_weight": Style(PETROFF_10[6], "diamond", "dash"),
    "anti_adversary_weight": Style(PETROFF_10[0], "triangle-up", "solid"),
    "anti_adversary_share": Style(PETROFF_10[0], "triangle-up", "solid"),
    "anti_adversary_share_clean": Style(PETROFF_10[3], "circle", "dash"),
    "anti_adversary_share_flipped": Style(PETROFF_10[2], "x", "dot"),
    "anti_adversary_weight_clean": Style(PETROFF_10[3], "circle", "dash"),
    "anti_adversary_weight_flipped": Style(PETROFF_10[2], "x", "solid"),
    "flipped_auc": Style(PETROFF_10[0], "triangle-up", "solid"),
    "flipped_auc_in_class": Style(PETROFF_10[2], "diamond", "dashdot"),
    "flipped_auc_loss": Style(MUTED, "circle", "dash"),
    "flipped_auc_steps": Style(PETROFF_10[4], "square", "dot"),
    "importance_loss": Style(PETROFF_10[0], "circle", "solid"),
    "importance_class_loss": Style(PETROFF_10[1], "square", "dash"),
    "importance_gradient_norm": Style(PETROFF_10[2], "diamond", "dot"),
    "importance_margin": Style(PETROFF_10[3], "triangle-up", "dashdot"),
    "importance_entropy": Style(PETROFF_10[4], "cross", "longdash"),
    "importance_class_proportion": Style(PETROFF_10[5], "x", "solid"),
}
"""Every series that has an identity of its own, by the name of its metric."""

LABEL_GROUPS = {
    "all": Style(PETROFF_10[0], "circle", "solid"),
    "clean": Style(PETROFF_10[0], "circle", "solid"),
    "flipped": Style(PETROFF_10[2], "x", "dash"),
}
"""Samples by whether their given label is the dataset's."""

METHODS = {
    "standard": Style(PETROFF_10[8], "square", "dot"),
    "pgd-at": Style(PETROFF_10[0], "circle", "solid"),
    "trades": Style(PETROFF_10[1], "diamond", "dash"),
    "mart": Style(PETROFF_10[5], "pentagon", "dashdot"),
    "caat": Style(PETROFF_10[2], "star", "solid"),
    "caat-rl": Style(PETROFF_10[2], "hexagon2", "dash"),
    "caat-weighted": Style(PETROFF_10[2], "hash", "longdash"),
    # The forms of one method share a colour, as do both that weight samples without an
    # attack, the three that change the bound class by class, both with a loss of their own, and
    # both that bet on classes.
    "frl-reweight": Style(PETROFF_10[4], "triangle-left", "dot"),
    "frl-remargin": Style(PETROFF_10[4], "triangle-right", "dash"),
    "frl-reweight-remargin": Style(PETROFF_10[4], "triangle-up", "solid"),
    "reweight": Style(PETROFF_10[3], "cross", "dash"),
    "meta-weight-net": Style(PETROFF_10[3], "x", "dot"),
    "cfa": Style(PETROFF_10[6], "hexagon", "dash"),
    "dafa": Style(PETROFF_10[6], "triangle-down", "solid"),
    "wat": Style(PETROFF_10[7], "octagon", "longdash"),
    "faal": Style(PETROFF_10[9], "hexagram", "dashdot"),
    "balanced-softmax": Style(PETROFF_10[5], "star-square", "dash"),
    "trix": Style(PETROFF_10[6], "star-triangle-up", "dashdot"),
    "oat": Style(PETROFF_10[5], "diamond-wide", "longdash"),
    "cfol": Style(PETROFF_10[7], "star-diamond", "dot"),
}
"""Every method of the project; each has a shape of its own."""

_FREE = (
    "triangle-ne",
    "triangle-se",
    "triangle-sw",
    "triangle-nw",
    "star-triangle-down",
    "diamond-tall",
    "diamond-tall",  # one went to a method of ours; the others keep their places
)
"""Shapes for methods of plug-ins."""

_VARIANTS = ("", "-open", "-dot", "-open-dot")


def method_style(label: str, variant: int = 0) -> Style:
    """Return the style of a method, by its label: ``caat`` or ``caat (as-released)``.

    Another protocol of a method, and every other run of one that ``variant`` counts, keeps colour
    and shape and has another filling. A plug-in's method is drawn by what its name hashes to, in a
    shape that no method of the project has.
    """
    name, _, protocol = label.partition(" (")
    style = METHODS.get(name)
    if style is None:
        place = zlib.crc32(name.encode())
        style = Style(PETROFF_10[place % 10], _FREE[place // 10 % len(_FREE)], "dash")
    filling = _VARIANTS[(variant + bool(protocol)) % len(_VARIANTS)]
    return style._replace(symbol=style.symbol + filling)


def class_style(index: int) -> Style:
    """Return the style of a class: after ten, colours come again with other dashes."""
    return Style(
        PETROFF_10[index % len(PETROFF_10)],
        MARKERS[(index // len(PETROFF_10) + index) % len(MARKERS)],
        DASHES[(index // len(PETROFF_10)) % len(DASHES)],
    )


def translucent(color: str, opacity: float) -> str:
    """Return a ``#rrggbb`` colour as ``rgba(...)`` with an opacity in [0, 1]."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity:g})"
