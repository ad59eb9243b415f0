"""What every table of a scenario has in common, and how its mistakes are told."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails

from engine.empty import described, empty_of


class Section(BaseModel):
    """A frozen table of a scenario: unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _yes_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        """Refuse true and false for numbers, which pydantic would read as 1 and 0."""
        field = cls.model_fields[info.field_name] if info.field_name else None
        if isinstance(value, bool) and field is not None and _is_number(field.annotation):
            raise ValueError(f"{str(value).lower()} is not valid; allowed: {allowed_values(field)}")
        return value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe a field as the form does, with what stands for an empty one."""
        schema = handler(core_schema)
        told = handler.resolve_ref_schema(schema).get("properties", {})
        for name, field in cls.model_fields.items():
            if name in told and empty_of(field):
                told[name]["description"] = described(field)
        return schema


def _is_number(annotation: object) -> bool:
    return annotation in (int, float) or any(map(_is_number, get_args(annotation)))


_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def parse_number(text: str) -> float | None:
    """Read a plain decimal number with a point, ``0.05`` or ``5e-2``; None where it is none."""
    number = float(text) if _NUMBER.fullmatch(text.strip()) else math.inf
    return number if math.isfinite(number) else None


def parse_fraction(value: object) -> object:
    """Read ``"8/255"`` as a number; leave anything else for the field to judge."""
    if not isinstance(value, str):
        return value
    numerator, slash, denominator = value.partition("/")
    over, under = parse_number(numerator), parse_number(denominator if slash else "1")
    return over / under if over is not None and under else value


def exactly(value: float) -> str:
    """Write a number in the fewest digits that are read back as the same number."""
    return repr(float(value)).removesuffix(".0")


def exact_pixels(value: float) -> str:
    """Write a pixel distance so that the field reads back the same number.

    That is ``8/255`` where 255ths give it in a few digits; where they do not, or a plain number is
    as short as in l2's ``0.5``, the number itself: ``0.031``.
    """
    plain = exactly(value)
    numerator = round(value * 255, 4)
    fraction = f"{exactly(numerator)}/255"
    whole = numerator == int(numerator) or len(plain) > len(fraction)
    is_same = value <= 1 and repr(parse_fraction(fraction)) == repr(float(value))
    return fraction if whole and is_same else plain


def in_255ths(value: float) -> str:
    """Write a pixel distance to be looked at: as the field writes it, or to four digits of 255ths.

    What somebody has chosen is short and told exactly; what was computed may have 17 digits.
    """
    exact = exact_pixels(value)
    if len(exact) <= _LONG:
        return exact
    return f"{value:g}" if value > 1 else f"{round(value * 255, 4):g}/255"


_LONG = 12
"""Characters of a number that nobody has chosen, only computed."""


def count_of(number: int, noun: str) -> str:
    """Write ``1 epoch`` or ``2 epochs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


Pixels = Annotated[float, BeforeValidator(parse_fraction)]
"""A distance in the units of an image in [0, 1]; ``"8/255"`` is read as well."""


class Derived:
    """Marks a field that may be left out: validation puts in a number that other fields decide.

    The stored scenario has that number, so what was derived can be seen and stays as it was.
    """


@dataclass(frozen=True)
class ShareOfRun:
    """Marks a field that is the share of a run's epochs after which a rule of a method begins.

    Attributes:
        needs: What the rule reads, and so has to be there: an epoch that the method trained, or
            validation errors, which a warm start gives as well.
    """

    needs: Literal["nothing", "validation", "an epoch"] = "validation"

    def begins(self, share: float, own_epochs: int, *, warm_start: bool) -> int | None:
        """Return the first of the method's epochs, counted from 1, in which the rule is in force.

        None if the run ends before.
        """
        ready = self.needs == "nothing" or (self.needs == "validation" and warm_start)
        first = 1 if ready else 2
        epochs = range(first, own_epochs + 1)
        return next((epoch for epoch in epochs if (epoch - 1) / own_epochs >= share), None)


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
        case "model_type" | "union_tag_not_found":
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
        return f"{kind}at least {low}"
    return f"{kind}at most {high}" if high is not None else kind.removesuffix(", ")


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
