"""A scenario as a file and as a table."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd


def as_toml(scenario: Mapping[str, Any]) -> str:
    """Write a scenario as TOML; what is None is left out, as an absent key is the default."""
    return "\n".join(_table(scenario, "")).strip() + "\n"


def _table(values: Mapping[str, Any], path: str) -> Iterator[str]:
    inner = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    for key, value in values.items():
        if key not in inner and value is not None:
            yield f"{key} = {_value(value)}"
    for key, table in inner.items():
        name = f"{path}.{key}".lstrip(".")
        yield f"\n[{name}]"
        yield from _table(table, name)


def _value(value: Any) -> str:
    """Write one value; a JSON string, number, boolean or list of them is TOML as well."""
    # TOML allows no raw DEL in a string, JSON does.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def as_table(scenario: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per setting, by its dotted path."""
    rows = [{"setting": path, "value": value} for path, value in _flat(scenario, "")]
    return pd.DataFrame(rows, columns=["setting", "value"])


def _flat(values: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{path}.{key}".lstrip(".")
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        else:
            yield name, "default" if value is None else _in_words(value)


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_in_words(item) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
