"""A scenario from a file and from ``a.b=value`` settings."""

import copy
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.errors import UserError
from engine.new_scenario import new_scenario
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
    before = copy.deepcopy(values)
    for change in changes:
        _put(values, change)
    _require_lengths_of_the_norm(before, values, changes)
    try:
        return new_scenario(values)
    except ValidationError as error:
        lines = error_lines(error, Scenario)
        raise UserError(*(f"{field}: {text}" for field, text in lines.items())) from None


def _require_lengths_of_the_norm(
    before: dict[str, Any], after: dict[str, Any], changes: list[str]
) -> None:
    """Refuse another norm over a file whose lengths were written for its own norm."""
    was, now = (_table(values, "threat").get("norm") or "linf" for values in (before, after))
    if was == now:
        return
    told = {change.partition("=")[0].strip() for change in changes}
    for table, field in (
        ("threat", "epsilon"),
        ("threat", "step_size"),
        ("evaluation", "epsilon"),
        ("evaluation", "step_size"),
        ("evaluation", "val_step_size"),
    ):
        value, path = _table(before, table).get(field), f"{table}.{field}"
        if value is not None and path not in told:
            raise UserError(
                f"{path}: {value!r} is the file's length in {was}, and threat.norm is {now}; "
                f"give --set {path}=NUMBER too, or --set {path}= to leave it out"
            )


def _table(values: dict[str, Any], name: str) -> dict[str, Any]:
    table = values.get(name)
    return table if isinstance(table, dict) else {}


def _put(values: dict[str, Any], change: str) -> None:
    path, equals, text = change.partition("=")
    *tables, key = path.strip().split(".")
    if not equals or not key:
        raise UserError(f"--set: {change!r} is not of the form a.b=value")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise UserError(f"--set: {change!r} goes into {table!r}, which is no table")
    if text.strip():
        values[key] = _value(text.strip())
    else:
        values.pop(key, None)


def _value(text: str) -> Any:
    """Read a TOML value; what is none is a plain string, so that quotes may be left out."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
