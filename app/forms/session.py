"""What a form's widgets hold, and how it becomes a validated scenario.

The answers live in the session, one entry a field, so that they can be validated before anything
is drawn and each mistake can stand beside its field.
"""

import re
from collections.abc import Iterator
from typing import Any

import streamlit as st
from pydantic import BaseModel, Field, ValidationError

from app.forms.fields import Place, places
from engine.config import Section
from engine.mistakes import error_lines
from engine.new_scenario import new_scenario
from engine.numbers import exact_pixels, exactly, parse_number
from engine.scenario import Scenario

PREFIX = "scenario"
"""Every answer's key in the session begins with this."""

NORM = f"{PREFIX}.threat.norm"
FILLED = "scenario-filled"
"""Where the session keeps the lengths that were filled in, and the norm that they are of."""

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
    """Return a field's value as its widget holds it: `as_value` gives back the same value.

    A number is text, as the browser's own fields for numbers round it, or drop a comma and go on.
    """
    if value is None:
        return ""
    match place.kind:
        case "pixels":
            return exact_pixels(value)
        case "numbers":
            return ", ".join(map(exactly, value))
        case "float":
            return exactly(value)
        case "int" | "choice" | "text":
            return str(value)
        case _:
            return value


def as_value(place: Place, answer: Any) -> Any:
    """Return what a widget holds as the model reads it; text that is no number stays text."""
    if not isinstance(answer, str):
        return answer
    if answer.strip() == "" and place.is_optional:
        return None
    match place.kind:
        case "int":
            return _whole(answer)
        case "float":
            number = parse_number(answer)
            return answer if number is None else number
        case "numbers":
            return _numbers(answer)
        case _:
            return answer


def _whole(text: str) -> int | str:
    return int(text) if re.fullmatch(r"\s*[+-]?[0-9]{1,4000}\s*", text) else text


def _numbers(text: str) -> list[float] | str:
    """Read numbers apart by semicolons, or by commas with a space, as a comma may be a point."""
    parts = [part for part in re.split(r";|,(?=\s|$)", text) if part.strip()]
    found = [parse_number(part) for part in parts]
    numbers = [number for number in found if number is not None]
    return numbers if len(numbers) == len(parts) else text


def untouched(place: Place) -> Any:
    """Return what a field's widget holds before anybody wrote into it."""
    return "" if place.is_derived else as_widget(place, place.default)


def derived(place: Place) -> Any:
    """Return what an empty field stands for, as the norm and the images in the form give it."""
    threat = {"norm": st.session_state.get(NORM, "linf")}
    data = {"dataset": st.session_state.get(f"{PREFIX}.data.dataset", "")}
    scenario = Scenario.model_validate({"threat": threat, "data": data if data["dataset"] else {}})
    return as_widget(place, getattr(scenario.threat, place.name))


def fill_scenario(scenario: Scenario) -> None:
    """Put a scenario into the form, and keep in mind of which norm its lengths are."""
    fill(scenario)
    lengths = {place.path: st.session_state[place.key] for place in _lengths()}
    st.session_state[FILLED] = (scenario.threat.norm, lengths)


def _lengths() -> list[Place]:
    return [place for place in every_field() if place.kind == "pixels"]


def _of_another_norm() -> Iterator[tuple[str, str]]:
    """Yield each length that was filled in for another norm and stands untouched: path, mistake."""
    norm, lengths = st.session_state.get(FILLED, (None, {}))
    now = st.session_state.get(NORM, norm)
    if norm == now:
        return
    for place in _lengths():
        text = st.session_state.get(place.key)
        if text and text == lengths.get(place.path):
            yield (
                place.path,
                f"{text} was filled in as a length in {norm}, and the norm is {now}; "
                f"write one in {now}, or empty the field",
            )


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
            case _ if place.is_derived and place.name not in model.model_fields_set:
                st.session_state[place.key] = ""
            case _:
                st.session_state[place.key] = as_widget(place, value)


def answers(
    model: type[BaseModel] = Scenario,
    path: str = "",
    key: str = PREFIX,
    *,
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
                answer = st.session_state.get(place.key, untouched(place))
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
    errors = dict(_of_another_norm())
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
