"""From a pydantic model to widgets.

A field that a model gains is drawn without a change here; so are a new method, a new backbone and
their own fields.
"""

import re
from collections.abc import Mapping
from typing import Any

import streamlit as st
from pydantic import BaseModel

from app.forms.fields import Place
from app.forms.session import (
    METHOD,
    Seeds,
    chosen_plugins,
    derived,
    fields,
    plugin_fields,
    plugin_key,
    untouched,
)
from app.text.format import count
from app.text.markdown import literal
from engine.scenario import Scenario

OPEN = ("data", "method", "training")
"""Sections that stand open at first; one with a mistake always does."""
DATASET = "data.dataset"


def scenario_form(errors: Mapping[str, str]) -> None:
    """Draw every field of a scenario, each with its mistake beside it.

    Args:
        errors: Path of a field -> what is wrong, as `app.forms.session.validated` gives them.
    """
    top = fields(Scenario)
    simple = [place for place in top if place.kind not in ("section", "plugin")]
    draw_fields(simple + fields(Seeds), errors)
    for place in top:
        if place not in simple:
            _draw_section(place, errors)
    known = {place.path for place in (*top, *fields(Seeds))}
    for path in errors:
        if _section_of(path) not in known:
            draw_mistake(path, errors)


def _section_of(path: str) -> str:
    """Return the table that a mistake's path begins in: ``method`` of ``method[trades].beta``."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def _draw_section(place: Place, errors: Mapping[str, str]) -> None:
    wrong = sum(_section_of(path) == place.path for path in errors)
    label = f"{place.label} ({count(wrong, 'mistake')})" if wrong else place.label
    with st.expander(
        label, expanded=bool(wrong) or place.path in OPEN, key=f"section.{place.path}"
    ):
        draw_mistake(place.path, errors)
        if place.kind == "plugin":
            _draw_plugin_choice(place, errors)
            chosen = chosen_plugins(place)
            for name, plugin in chosen.items():
                _draw_plugin(place, name, plugin, errors=errors, alone=len(chosen) == 1)
        else:
            _draw_table(place, errors)


def _draw_table(place: Place, errors: Mapping[str, str]) -> None:
    inner = fields(place.model, place.path, place.key)
    draw_fields([field for field in inner if field.kind != "section"], errors)
    for field in inner:
        if field.kind == "section":
            st.markdown(f"**{field.label}**", help=literal(field.model.__doc__ or ""))
            draw_mistake(field.path, errors)
            _draw_table(field, errors)


def _draw_plugin_choice(place: Place, errors: Mapping[str, str]) -> None:
    """Draw the menu of a plug-in's names."""
    key = plugin_key(place)
    names = list(place.options)
    meaning = place.model.model_fields["name"].description or place.label
    if place.path == METHOD:
        st.session_state.setdefault(key, list(chosen_plugins(place)))
        st.multiselect(
            "Methods",
            names,
            key=key,
            help="One method, or several to compare: each is trained on the same data",
            placeholder="Choose one or several",
            persist_state="session",
        )
    else:
        st.session_state.setdefault(key, next(iter(chosen_plugins(place))))
        st.selectbox("Name", names, key=key, help=literal(meaning), persist_state="session")
    draw_mistake(f"{place.path}.name", errors)


def _draw_plugin(
    place: Place, name: str, plugin: type[BaseModel], *, errors: Mapping[str, str], alone: bool
) -> None:
    """Say what a chosen plug-in is, and draw its own fields."""
    if not alone:
        st.markdown(f"**{literal(name)}**")
    summary = (plugin.__doc__ or "").strip().splitlines()
    if summary:
        st.caption(literal(summary[0]))
    prefix = place.path if alone else f"{place.path}[{name}]"
    own = {path.replace(prefix, place.path, 1): text for path, text in errors.items()}
    draw_fields(plugin_fields(place, name, plugin), errors if alone else own)


def draw_fields(some: list[Place], errors: Mapping[str, str], columns: int = 3) -> None:
    """Draw simple fields in columns, each with its mistake below it."""
    for start in range(0, len(some), columns):
        row = some[start : start + columns]
        for column, place in zip(st.columns(columns), row, strict=False):
            with column:
                _draw_field(place)
                draw_mistake(place.path, errors)


def draw_mistake(path: str, errors: Mapping[str, str]) -> None:
    """Say what is wrong with one field, if anything is."""
    if path in errors:
        # No caption: their dimmed text would be too faint for a message.
        st.markdown(f":small[:red[:material/error: {literal(errors[path])}]]")


def _draw_field(place: Place) -> None:
    """Draw the one widget of a field that is no table."""
    st.session_state.setdefault(place.key, untouched(place))
    shared: dict[str, Any] = {"key": place.key, "help": place.help, "persist_state": "session"}
    match place.kind:
        case "choice":
            titles = place.options
            chosen = st.session_state[place.key]
            if chosen not in titles:  # it was removed meanwhile; the mistake beside it says so
                titles = {**titles, chosen: chosen}
            alone = len(titles) == 1
            st.selectbox(
                place.label,
                list(titles),
                format_func=lambda value: titles.get(value, value),
                disabled=alone,
                **shared,
            )
            if place.path == DATASET:
                icon = ":material/add_photo_alternate:"
                st.page_link("views/data.py", label="Add your own data", icon=icon)
        case "bool":
            st.space("xsmall")
            st.toggle(place.label, **shared)
        case _:
            # Numbers as well: without a browser's rounding, and what is wrong is kept and told.
            st.text_input(place.label, placeholder=_placeholder(place), **shared)


def _placeholder(place: Place) -> str | None:
    """Return what an empty field stands for."""
    if place.is_derived:
        return str(derived(place))
    return place.empty_means if place.is_optional else None
