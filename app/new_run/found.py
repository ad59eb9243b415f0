"""Settings that a search found: what there is for the methods in the form, and the click."""

from collections.abc import Sequence

import streamlit as st

from app.forms.session import METHOD, PREFIX, as_widget, fields, fill
from app.text.format import count
from app.text.markdown import literal
from engine.found import KINDS, Found, Kind, found, kind_of
from engine.methods.base import METHODS
from engine.scenario import Scenario


def draw_found(scenarios: Sequence[Scenario]) -> None:
    """Offer the settings of the methods in the form for the kind of its data, if any are known."""
    kind = kind_of(scenarios[0].data)
    methods = list(dict.fromkeys(scenario.method.name for scenario in scenarios))
    offered = [one for method in methods if (one := found(kind, method)) is not None]
    if not offered:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Use settings that a search found",
            key="found",
            icon=":material/manage_search:",
            on_click=_use,
            args=(kind, methods),
        )
        st.caption(literal(in_words(kind, offered, alone=len(methods) == 1)))


def in_words(kind: Kind, offered: Sequence[Found], *, alone: bool) -> str:
    """Say for what the settings were found, on what, and what a click leaves as it is."""
    where = "; ".join(dict.fromkeys(one.on for one in offered))
    tried = count(max(one.tried for one in offered), "setting")
    names = ", ".join(one.method for one in offered)
    rest = "" if alone else " Of several methods only their own fields change, no learning rate."
    return f"For {KINDS[kind]}: {names}; the best of {tried} on {where}.{rest}"


def _use(kind: Kind, methods: Sequence[str]) -> None:
    """Put what was found into the form."""
    for method in methods:
        one = found(kind, method)
        if one is None:
            continue
        config = METHODS[method].model_validate({"name": method, **one.fields})
        fill(config, METHOD, f"{PREFIX}.{METHOD}[{method}]")
        if len(methods) == 1:
            _fill_training(one)


def _fill_training(one: Found) -> None:
    training = next(place for place in fields(Scenario) if place.path == "training")
    for place in fields(training.model, training.path, training.key):
        if place.name in one.training:
            st.session_state[place.key] = as_widget(place, one.training[place.name])
