"""The theory lab's parameters: widgets whose values stand in the link, and what they mean together.

Widgets take any number, so that a link or a step beyond the theory's range is told beside its
field and not silently changed.
"""

from typing import Any

import streamlit as st
from pydantic import ValidationError

from app.fields import Place, places
from app.forms import draw_mistake
from engine.mixture import Setting
from engine.section import error_lines

NOISE = ("noise_plus", "rho_flipped_plus", "noise_minus", "rho_flipped_minus")
"""Fields that only the logistic loss knows; drawn always, as only then the link holds them."""

GROUPS = {
    "Training": ("rho_plus", "rho_minus", "loss"),
    "Attack": ("epsilon",),
    "Data": ("k", "prior_ratio", "dim", "eta", "sigma"),
    "Label noise, with the logistic loss": NOISE,
}
LABELS = {
    "rho_plus": "Bound of class +",
    "rho_minus": "Bound of class -",
    "loss": "Training loss",
    "noise_plus": "Wrong labels in +",
    "noise_minus": "Wrong labels in -",
    "rho_flipped_plus": "Their bound (+)",
    "rho_flipped_minus": "Their bound (-)",
    "epsilon": "Epsilon",
    "k": "Spread ratio K",
    "prior_ratio": "Prior ratio + / -",
    "dim": "Dimension",
    "eta": "Eta",
    "sigma": "Sigma",
}
STEPS = {"rho_plus": 0.02, "rho_minus": 0.02, "k": 0.25, "prior_ratio": 0.1, "dim": 1}
LOSSES = {"zero-one": "0-1", "logistic": "Logistic"}

FIELDS = {place.name: place for place in places(Setting, "", "theory")}


def fill(setting: Setting) -> None:
    """Put a setting's values into the widgets; call it before they are drawn."""
    for name in FIELDS:
        st.session_state[name] = getattr(setting, name)


def setting_form() -> Setting | None:
    """Draw the parameters, each with its mistake below it; return them where they make sense."""
    told: dict[str, Any] = {}
    below = {}
    for title, names in GROUPS.items():
        st.markdown(f"**{title}**")
        for start in range(0, len(names), 2):
            for column, name in zip(st.columns(2), names[start : start + 2], strict=False):
                with column:
                    off = names is NOISE and told["loss"] != "logistic"
                    told[name] = _draw(FIELDS[name], off)
                    below[name] = st.container()
    if told["loss"] != "logistic":
        told |= {name: FIELDS[name].default for name in NOISE}
    try:
        return Setting.model_validate(told)
    except ValidationError as error:
        mistakes = error_lines(error, Setting)
    for name, place in below.items():
        with place:
            draw_mistake(name, mistakes)
    return None


def _draw(place: Place, disabled: bool) -> Any:
    shared: dict[str, Any] = {"key": place.name, "help": place.help, "bind": "query-params"}
    label = LABELS[place.name]
    if place.name == "loss":
        return st.segmented_control(
            label,
            list(LOSSES),
            default=place.default,
            required=True,
            format_func=lambda name: LOSSES[name],
            **shared,
        )
    whole = place.kind == "int"
    return st.number_input(
        label,
        value=place.default,
        step=STEPS.get(place.name, 0.05),
        format="%d" if whole else "%g",
        placeholder="By label" if place.is_optional else None,
        disabled=disabled,
        **shared,
    )
