"""The theory lab's parameters: widgets whose values stand in the link, and what they mean together.

Widgets take any text, so that a link beyond the theory's range, or a decimal comma, is told beside
its field and not silently changed.
"""

from typing import Any

import streamlit as st
from pydantic import ValidationError

from app.forms.fields import Place, places
from app.forms.session import as_value, as_widget
from app.forms.widgets import draw_mistake
from engine.mistakes import error_lines
from engine.theory.mixture import Setting

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
LOSSES = {"zero-one": "0-1", "logistic": "Logistic"}

FIELDS = {place.name: place for place in places(Setting, "", "theory")}


def fill(setting: Setting) -> None:
    """Put a setting's values into the widgets; call it before they are drawn."""
    for name, place in FIELDS.items():
        st.session_state[name] = as_widget(place, getattr(setting, name))


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
    # Text: the browser's own number fields round, and drop a comma and go on.
    answer = st.text_input(
        label,
        value=as_widget(place, place.default),
        placeholder="By label" if place.is_optional else None,
        disabled=disabled,
        **shared,
    )
    return as_value(place, answer)
