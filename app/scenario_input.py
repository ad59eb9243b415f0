"""A scenario from a file and from ``a.b=value`` settings."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.errors import UserError
from engine.scenario import Scenario
from engine.section import error_lines


def read_scenario(file: Path, changes: list[str]) -> Scenario:
    """Read a TOML file, put the changes over it, and check everything.

    Raises:
        UserError: One line per mistake, each with the field, the value and what is allowed.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{file}: cannot be read as TOML ({error})") from error
    for change in changes:
        _put(values, change)
    try:
        return Scenario.model_validate(values)
    except ValidationError as error:
        lines = error_lines(error, Scenario)
        raise UserError(*(f"{field}: {text}" for field, text in lines.items())) from None


def _put(values: dict[str, Any], change: str) -> None:
    path, equals, text = change.partition("=")
    *tables, key = path.strip().split(".")
    if not equals or not key:
        raise UserError(f"--set: {change!r} is not of the form a.b=value")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise UserError(f"--set: {change!r} goes into {table!r}, which is no table")
    values[key] = _value(text.strip())


def _value(text: str) -> Any:
    """Read a TOML value; what is none is a plain string, so that quotes may be left out."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
