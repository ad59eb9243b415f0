"""Settings that a search found best for each method and kind of data, and where that stands."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from engine.data.config import DataConfig

Kind: TypeAlias = Literal["standard", "noise", "imbalance", "both"]
KINDS: dict[Kind, str] = {
    "standard": "clean and balanced data",
    "noise": "label noise",
    "imbalance": "imbalance",
    "both": "label noise and imbalance",
}
"""Kinds of data, in words."""
TABLE = Path(__file__).with_name("found.json")
"""Written by ``python benchmarks/method.py page``."""


@dataclass(frozen=True)
class Found:
    """The best setting of a search.

    Attributes:
        method: Its name.
        fields: Fields of the method that the search set; the others have their defaults.
        training: Fields of ``training`` that the search set.
        tried: Settings that were compared.
        on: What they were compared on, in words.
    """

    method: str
    fields: dict[str, Any]
    training: dict[str, Any]
    tried: int
    on: str


def kind_of(data: DataConfig) -> Kind:
    noisy, imbalanced = data.noise.ratio > 0, data.imbalance.factor > 1
    if noisy:
        return "both" if imbalanced else "noise"
    return "imbalance" if imbalanced else "standard"


def found(kind: Kind, method: str) -> Found | None:
    """Return what was found, or None: nobody has searched."""
    entry = _table().get(kind, {}).get(method)
    return None if entry is None else Found(method, **entry)


def methods_found(kind: Kind) -> list[str]:
    return sorted(_table().get(kind, {}))


@cache
def _table() -> dict[str, dict[str, dict[str, Any]]]:
    table: dict[str, dict[str, dict[str, Any]]] = json.loads(TABLE.read_text())
    return table
