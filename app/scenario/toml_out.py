"""A scenario as a file and as a table."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from pydantic import BaseModel

from app.forms.fields import Place, places
from engine.data.config import with_meta_set
from engine.names import nearest_name, visible
from engine.numbers import exact_pixels, exactly
from engine.scenario import NAME_LENGTH, Scenario

DISTANCES = ("epsilon", "step_size", "val_step_size", "trained_epsilon")


def as_toml(scenario: Mapping[str, Any]) -> str:
    """Write a scenario as TOML that runs again; what is None is left out: absent is default."""
    scenario = with_meta_set(scenario)
    if "name" in scenario:
        scenario = {**scenario, "name": nearest_name(scenario["name"], NAME_LENGTH)}
    return written(scenario)


def as_study(name: str, scenarios: Sequence[Scenario]) -> str:
    """Write scenarios that differ in method and seed alone as a study file: `engine.study`."""
    first, *_ = every = [scenario.as_json() for scenario in scenarios]
    own = ("name", "seed", "method")
    values = {
        "name": name,
        "seeds": list(dict.fromkeys(one["seed"] for one in every)),
        "base": {table: fields for table, fields in first.items() if table not in own},
        "methods": {one["method"]["name"]: one["method"] for one in every},
    }
    return as_toml(values)


def written(values: Mapping[str, Any]) -> str:
    """Write tables as TOML as they are."""
    return "\n".join(_table(values, "")).strip() + "\n"


def _table(values: Mapping[str, Any], path: str) -> Iterator[str]:
    inner = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    for key, value in values.items():
        if key not in inner and value is not None:
            yield f"{_key(key)} = {_value(value)}"
    for key, table in inner.items():
        name = f"{path}.{_key(key)}".lstrip(".")
        yield f"\n[{name}]"
        yield from _table(table, name)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    """Write one value; a JSON string, number, boolean or list of them is TOML as well."""
    shown = visible(value) if isinstance(value, str) else value
    return json.dumps(shown, ensure_ascii=False)


def as_table(scenario: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per setting: its dotted path, its value and what it means."""
    return pd.DataFrame(
        list(_rows(with_meta_set(scenario), "", Scenario)), columns=["setting", "value", "meaning"]
    )


def _rows(
    values: Mapping[str, Any], path: str, model: type[BaseModel] | None
) -> Iterator[tuple[str, str, str]]:
    """Yield the settings of one table; one that the model does not know has no meaning."""
    known = {place.name: place for place in places(model, path, "")} if model else {}
    for key, value in values.items():
        name = f"{path}.{key}".lstrip(".")
        place = known.get(key)
        if isinstance(value, Mapping):
            yield from _rows(value, name, _model_of(place, value))
        elif value is None:
            yield name, place.empty_means if place else "default", _meaning(place)
        else:
            yield name, in_words(key, value), _meaning(place)


def _model_of(place: Place | None, value: Mapping[str, Any]) -> type[BaseModel] | None:
    if place is None or place.kind not in ("section", "plugin"):
        return None
    if place.registry is None:
        return place.model
    name = value.get("name")
    return place.registry[name] if name in place.registry.names() else None


def _meaning(place: Place | None) -> str:
    return (place.info.description or "") if place else ""


def in_words(name: str, value: Any) -> str:
    """Write one value of a setting or of a card, to its last digit; distances as n/255."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(in_words(name, item) for item in value)
    if isinstance(value, float):
        return exact_pixels(value) if name in DISTANCES else exactly(value)
    return str(value)
