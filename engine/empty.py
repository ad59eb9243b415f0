"""What stands for a field of a scenario that is left out."""

from dataclasses import dataclass
from typing import Literal

from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Empty:
    """Marks a field that may be left out, and says what then stands for it.

    Attributes:
        means: What stands for it, in words that end a sentence: ``epsilon / 4``.
        verb: What joins the two: "empty is epsilon / 4", "empty takes all".
    """

    means: str
    verb: Literal["is", "takes"] = "is"


def empty_of(field: FieldInfo) -> Empty | None:
    """Return what an empty field stands for; None where its model does not say."""
    return next((rule for rule in field.metadata if isinstance(rule, Empty)), None)


def described(field: FieldInfo) -> str:
    """Return a field's description, and what stands for it where it is empty, in one sentence."""
    description, empty = field.description or "", empty_of(field)
    if empty is None:
        return description
    return f"{description}; empty {empty.verb} {empty.means}".removeprefix("; ")
