"""What a form's widgets hold, and how it becomes a validated scenario.

The answers live in the session, one entry a field, so that they can be validated before anything
is drawn and each mistake can stand beside its field.
"""

from collections.abc import Iterator
from typing import Any

import streamlit as st
from pydantic import BaseModel, ValidationError

from app.fields import Place, places
from engine.scenario import Scenario
from engine.section import error_lines, in_255ths

PREFIX = "scenario"
"""Every answer's key in the session begins with this."""


def fields(model: type[BaseModel], path: str = "", key: str = PREFIX) -> list[Place]:
    """Return the fields of a table at a path of the form."""
    return list(places(model, path, key))


def chosen_plugin(place: Place) -> tuple[str, type[BaseModel]]:
    """Return the name that is chosen at a plug-in's field, and its model."""
    registry = place.registry
    if registry is None:
        raise TypeError(f"{place.path} is not chosen from a registry")
    name = st.session_state.get(f"{place.key}.name", registry.default)
    return name, registry[name]


def plugin_fields(place: Place) -> list[Place]:
    """Return the chosen plug-in's own fields."""
    name, model = chosen_plugin(place)
    inner = fields(model, place.path, f"{place.key}[{name}]")
    return [field for field in inner if field.name != "name"]


def every_field(
    model: type[BaseModel] = Scenario, path: str = "", key: str = PREFIX
) -> Iterator[Place]:
    """Yield each field that holds a value, through sections and chosen plug-ins."""
    for place in fields(model, path, key):
        if place.kind == "section":
            yield from every_field(place.model, place.path, place.key)
        elif place.kind == "plugin":
            yield from plugin_fields(place)
        else:
            yield place


def as_widget(place: Place, value: Any) -> Any:
    """Return a field's value as its widget holds it."""
    match place.kind:
        case "pixels":
            return "" if value is None else in_255ths(value)
        case "numbers":
            return ", ".join(f"{number:g}" for number in value)
        case "choice" | "text":
            return "" if value is None else str(value)
        case "float":
            return None if value is None else float(value)
        case _:
            return value


def as_value(place: Place, answer: Any) -> Any:
    """Return what a widget holds as the model reads it."""
    if answer == "" and place.is_optional:
        return None
    if place.kind == "numbers" and isinstance(answer, str):
        return _numbers(answer)
    return answer


def _numbers(text: str) -> list[float] | str:
    try:
        return [float(part) for part in text.replace(";", ",").split(",") if part.strip()]
    except ValueError:
        return text


def fill(model: BaseModel, path: str = "", key: str = PREFIX) -> None:
    """Put a model's values into the session; call it before the form is drawn."""
    for place in fields(type(model), path, key):
        value = getattr(model, place.name)
        match place.kind:
            case "section":
                fill(value, place.path, place.key)
            case "plugin":
                st.session_state[f"{place.key}.name"] = value.name
                fill(value, place.path, f"{place.key}[{value.name}]")
            case _:
                st.session_state[place.key] = as_widget(place, value)


def answers(model: type[BaseModel] = Scenario, path: str = "", key: str = PREFIX) -> dict[str, Any]:
    """Return what stands in the form; a field that was never drawn has its default."""
    found: dict[str, Any] = {}
    for place in fields(model, path, key):
        match place.kind:
            case "section":
                found[place.name] = answers(place.model, place.path, place.key)
            case "plugin":
                name, plugin = chosen_plugin(place)
                inner = answers(plugin, place.path, f"{place.key}[{name}]")
                found[place.name] = {**inner, "name": name}
            case _:
                answer = st.session_state.get(place.key, as_widget(place, place.default))
                found[place.name] = as_value(place, answer)
    return found


def validated() -> tuple[Scenario | None, dict[str, str]]:
    """Return the scenario that the form describes, or its mistakes: path -> what is wrong."""
    try:
        return Scenario.model_validate(answers()), {}
    except ValidationError as error:
        return None, error_lines(error, Scenario)
