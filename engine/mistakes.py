"""How mistakes in a scenario are told: a line each, with field, value, and what is allowed."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails


@dataclass(frozen=True)
class Mistake:
    """A field that does not go with another one.

    Attributes:
        path: Of the field that a person should change, part by part.
        value: What it is.
        says: What is wrong with it and what is allowed, in one line.
    """

    path: tuple[str, ...]
    value: object
    says: str


def error_lines(error: ValidationError, model: type[BaseModel]) -> dict[str, str]:
    """Say each mistake of a validation once: ``{"threat.epsilon": "300 is not ..."}``."""
    lines: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        path, field = _field_at(model, detail["loc"])
        lines.setdefault(path or "scenario", _say(dict(detail), field))
    return lines


def mistake(path: tuple[str, ...], value: object, says: str) -> ValidationError:
    """Return the error of a field that does not go with a field of another table."""
    return mistakes([Mistake(path, value, says)])


def mistakes(found: Iterable[Mistake]) -> ValidationError:
    """Return the error of several such fields."""
    details = [
        {
            "type": "value_error",
            "loc": one.path,
            "input": one.value,
            "ctx": {"error": ValueError(one.says)},
        }
        for one in found
    ]
    return ValidationError.from_exception_data(
        "Scenario", [cast(InitErrorDetails, detail) for detail in details]
    )


def _say(detail: dict[str, Any], field: FieldInfo | None) -> str:
    value = _shorten(detail["input"])
    match detail["type"]:
        case "extra_forbidden":
            return f"unknown key (value {value})"
        case "value_error":
            return str(detail["ctx"]["error"])
        case "union_tag_invalid":
            return f"{_shorten(detail['ctx']['tag'])} is unknown; choose {_listed(detail)}"
        case "string_unicode":
            return f"{value} cannot be shown as it is: it holds half a character; leave that out"
        case "missing":
            return "is required"
        case "model_type" | "dict_type" | "union_tag_not_found":
            return f"{value} is not valid; write a table of fields"
    return _say_comma(detail) or _say_range(detail, field)


def _say_range(detail: dict[str, Any], field: FieldInfo | None) -> str:
    allowed = allowed_values(field) if field else ""
    reason = f"allowed: {allowed}" if allowed else detail["msg"].lower()
    return f"{_shorten(detail['input'])} is not valid; {reason}"


_UNREAD = ("float_parsing", "int_parsing", "tuple_type")
"""Text that is no number, or no list of numbers."""
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*(,[0-9]+)+")


def _say_comma(detail: dict[str, Any]) -> str:
    """Say how a number is written, where the text has a decimal comma; else nothing."""
    text = detail["input"]
    if detail["type"] not in _UNREAD or not isinstance(text, str):
        return ""
    found = _DECIMAL_COMMA.search(text)
    if found is None:
        return ""
    number = found.group()
    if detail["type"] == "int_parsing" and _THOUSANDS.fullmatch(number):
        return (
            f"{_shorten(number)} is not a number; write {number.replace(',', '')} without a comma"
        )
    if number.count(",") > 1:
        return f"{_shorten(number)} is not a number; write it without commas"
    return f"{_shorten(number)} is not a number; write {number.replace(',', '.')[:60]} with a point"


def _listed(detail: dict[str, Any]) -> str:
    return str(detail["ctx"]["expected_tags"]).replace("'", "")


def _shorten(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "..."


def allowed_values(field: FieldInfo) -> str:
    """Say a field's range in words: ``0 to 1``, ``at least 1``, or the list of its options."""
    options = list(_options(field.annotation))
    if options:
        return ", ".join(options)
    if get_origin(field.annotation) is tuple:
        return "a list of numbers"
    low, high = bounds(field)
    whole = field.annotation is int or int in get_args(field.annotation)
    kind = "a whole number, " if whole else ""
    if low is not None and high is not None:
        return f"{kind}{low} to {high}"
    if low is not None:
        return kind + (low if low.startswith("more") else f"at least {low}")
    if high is not None:
        return kind + (high if high.startswith("less") else f"at most {high}")
    return kind.removesuffix(", ")


def bounds(field: FieldInfo) -> tuple[str | None, str | None]:
    """Return the written lower and upper bound of a numeric field."""
    low: str | None = None
    high: str | None = None
    for rule in field.metadata:
        match rule:
            case Ge(ge=edge):
                low = f"{edge}"
            case Gt(gt=edge):
                low = f"more than {edge}"
            case Le(le=edge):
                high = f"{edge}"
            case Lt(lt=edge):
                high = f"less than {edge}"
            case MaxLen(max_length=length):
                high = f"{length} characters"
    return low, high


def _options(annotation: object) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from (str(option) for option in get_args(annotation))


def _field_at(
    model: type[BaseModel], location: tuple[int | str, ...]
) -> tuple[str, FieldInfo | None]:
    """Follow an error's location; the tags of unions are no part of the path a user wrote."""
    path: list[str] = []
    field: FieldInfo | None = None
    current: type[BaseModel] | None = model
    for part in location:
        if current is not None and part in current.model_fields:
            field = current.model_fields[str(part)]
            path.append(str(part))
            current = _model_of(field)
            continue
        chosen = _tagged(field, str(part))
        if chosen is not None:
            current = chosen
        else:
            path.append(str(part))
            field = None
    return ".".join(path), field


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _tagged(field: FieldInfo | None, tag: str) -> type[BaseModel] | None:
    for rule in field.metadata if field else ():
        entries: dict[str, type[BaseModel]] = getattr(rule, "_entries", {})
        if tag in entries:
            return entries[tag]
    return None
