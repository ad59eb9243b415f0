"""What a form's widgets hold, and how it becomes a validated scenario.

The answers live in the session, one entry a field, so that they can be validated before anything
is drawn and each mistake can stand beside its field.
"""

from collections.abc import Iterator
from typing import Any

import streamlit as st
from pydantic import BaseModel, Field, ValidationError

from app.fields import Place, places
from engine.new_scenario import new_scenario
from engine.scenario import Scenario
from engine.section import Section, error_lines, in_255ths

PREFIX = "scenario"
"""Every answer's key in the session begins with this."""

METHOD = "method"
"""The plug-in's field of which several may be chosen: each is a run of its own."""


class Seeds(Section):
    """How often a scenario is trained."""

    num_seeds: int = Field(
        1,
        ge=1,
        le=20,
        description="Runs of each method, with this seed and those that follow it; their spread "
        "tells what is chance",
    )


def fields(model: type[BaseModel], path: str = "", key: str = PREFIX) -> list[Place]:
    """Return the fields of a table at a path of the form."""
    return list(places(model, path, key))


def plugin_key(place: Place) -> str:
    """Return the session's entry with the names that are chosen at a plug-in's field."""
    return f"{place.key}.names" if place.path == METHOD else f"{place.key}.name"


def chosen_plugins(place: Place) -> dict[str, type[BaseModel]]:
    """Return what is chosen at a plug-in's field: name -> its model."""
    registry = place.registry
    if registry is None:
        raise TypeError(f"{place.path} is not chosen from a registry")
    answer = st.session_state.get(plugin_key(place), registry.default)
    return {name: registry[name] for name in ([answer] if isinstance(answer, str) else answer)}


def plugin_fields(place: Place, name: str, model: type[BaseModel]) -> list[Place]:
    """Return a plug-in's own fields; each plug-in's answers are kept apart."""
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
            for name, plugin in chosen_plugins(place).items():
                yield from plugin_fields(place, name, plugin)
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
                several = place.path == METHOD
                st.session_state[plugin_key(place)] = [value.name] if several else value.name
                fill(value, place.path, f"{place.key}[{value.name}]")
            case _:
                st.session_state[place.key] = as_widget(place, value)


def answers(
    model: type[BaseModel] = Scenario,
    path: str = "",
    key: str = PREFIX,
    method: str | None = None,
) -> dict[str, Any]:
    """Return what stands in the form; a field that was never drawn has its default.

    ``method`` is whose fields stand below "method"; by default the first that is chosen.
    """
    found: dict[str, Any] = {}
    for place in fields(model, path, key):
        match place.kind:
            case "section":
                found[place.name] = answers(place.model, place.path, place.key)
            case "plugin":
                chosen = chosen_plugins(place)
                wanted = method if place.path == METHOD else None
                name = wanted or next(iter(chosen), "")
                inner = answers(chosen[name], place.path, f"{place.key}[{name}]") if name else {}
                found[place.name] = {**inner, "name": name}
            case _:
                answer = st.session_state.get(place.key, as_widget(place, place.default))
                found[place.name] = as_value(place, answer)
    return found


def validated() -> tuple[list[Scenario], dict[str, str]]:
    """Return the scenarios that the form describes, or its mistakes: path -> what is wrong.

    There is one for each chosen method and seed, the seeds of a method side by side. Of several
    methods each has its name in the path: ``method[trades].beta``.
    """
    methods = list(chosen_plugins(_method_place()))
    if not methods:
        return [], {METHOD: "no method is chosen; choose one or several"}
    found: list[Scenario] = []
    errors: dict[str, str] = {}
    num_seeds = _num_seeds(errors)
    for method in methods:
        try:
            found += _over_seeds(answers(method=method), num_seeds)
        except ValidationError as error:
            for path, text in error_lines(error, Scenario).items():
                errors.setdefault(_of_method(path, method, len(methods)), text)
    return ([] if errors else found), errors


def _method_place() -> Place:
    return next(place for place in fields(Scenario) if place.path == METHOD)


def _num_seeds(errors: dict[str, str]) -> int:
    try:
        return Seeds.model_validate(answers(Seeds)).num_seeds
    except ValidationError as error:
        errors |= error_lines(error, Seeds)
        return 1


def _over_seeds(values: dict[str, Any], num_seeds: int) -> list[Scenario]:
    first = new_scenario(values)
    following = range(first.seed + 1, first.seed + num_seeds)
    return [first, *(new_scenario({**values, "seed": seed}) for seed in following)]


def _of_method(path: str, method: str, num_methods: int) -> str:
    own = num_methods > 1 and path.startswith(f"{METHOD}.")
    return f"{METHOD}[{method}]{path.removeprefix(METHOD)}" if own else path
