"""What every table of a scenario has in common."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from engine.empty import described, empty_of
from engine.mistakes import allowed_values
from engine.numbers import parse_fraction


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

    @model_serializer(mode="wrap")
    def _as_before_its_younger_fields(self, as_json: SerializerFunctionWrapHandler) -> Any:
        """Leave younger fields out at their defaults: older scenarios keep their fingerprints."""
        content = as_json(self)
        for name, field in type(self).model_fields.items():
            is_younger = any(isinstance(rule, Younger) for rule in field.metadata)
            if is_younger and getattr(self, name) == field.default:
                content.pop(name, None)
        return content

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


class Younger:
    """Marks a field that came when scenarios were stored already.

    At its default it is written nowhere, so that the digest of a scenario stays what it was.
    """


def _is_number(annotation: object) -> bool:
    return annotation in (int, float) or any(map(_is_number, get_args(annotation)))


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
