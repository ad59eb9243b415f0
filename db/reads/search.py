"""What a person types to find runs, as conditions: words, phrases of a scenario, comparisons."""

import operator
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_, select

from db.models import Run, RunTag
from db.portable import searchable
from db.reads.columns import NUMBERS, imbalance_factor, noise_kind, noise_ratio, norm
from db.reads.queries import of_study

ID_PREFIX = 4
"""An id is found by so many of its first letters, or more."""
MOST_WORDS = 30
"""Of one search; more are left out."""
_KINDS = ("pair", "uniform", "flip1", "flip2")
_NORMS = ("linf", "l2")
_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
_PHRASE = re.compile(
    rf"(?P<quoted>(?:\b(?P<field>tag|study):)?\"[^\"]*\")"
    rf"|\b(?P<kind>{'|'.join(_KINDS)})\s+(?P<ratio>{_NUMBER})\s*%"
    rf"|\bimbalance\s+(?P<factor>{_NUMBER})(?=\s|,|$)"
    r"|\bseed\s+(?P<seed>\d{1,18})(?=\s|,|$)"
    rf"|\b(?P<column>{'|'.join(NUMBERS)})\s*(?P<sign><=|>=|<|>|=)\s*(?P<value>{_NUMBER})\s*%?"
    r"(?=\s|,|$)"
    r"|\bcreated\s*(?P<when><=|>=|<|>)\s*(?P<day>\d{4}-\d\d-\d\d)"
    r"|(?P<word>\S+)",
    re.IGNORECASE,
)
_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": lambda one, other: and_(one > other - 1e-9, one < other + 1e-9),
}


def conditions(text: str) -> list[ColumnElement[bool]]:
    """Return what all has to hold of a run that is meant by a text."""
    return [condition for _, condition in zip(range(MOST_WORDS), _each(text), strict=False)]


def _each(text: str) -> Iterator[ColumnElement[bool]]:
    for found in _PHRASE.finditer(searchable(text)):
        part = found.groupdict()
        if part["kind"]:
            share = float(part["ratio"]) / 100
            kind = func.lower(noise_kind) == part["kind"].lower()
            yield and_(kind, noise_ratio > share - 1e-9, noise_ratio < share + 1e-9)
        elif part["factor"]:
            yield imbalance_factor == float(part["factor"])
        elif part["seed"]:
            yield Run.seed == int(part["seed"])
        elif part["column"]:
            yield _compared(part["column"].lower(), part["sign"], float(part["value"]))
        elif part["day"]:
            yield _made(part["when"], part["day"])
        else:
            yield from _worded(part["quoted"] or part["word"])


def _worded(word: str) -> Iterator[ColumnElement[bool]]:
    field, _, rest = word.partition(":")
    wanted = (rest if field.lower() in ("tag", "study") and rest else word).strip('"')
    if field.lower() == "tag" and rest:
        yield tagged((wanted,))
    elif field.lower() == "study" and rest:
        yield of_study(wanted)
    elif bare := wanted.strip(",").lower():
        yield _named(bare)


def _named(word: str) -> ColumnElement[bool]:
    """Look for a word wherever people name a run; a number is found as a number alone."""
    columns = (Run.name, Run.method, Run.dataset, Run.study, Run.notes)
    tags = select(RunTag.run_id).where(_holds(RunTag.tag, word))
    found = [_holds(column, word) for column in columns]
    found.append(Run.id.in_(tags))
    if len(word) >= ID_PREFIX:
        found.append(Run.id.startswith(word, autoescape=True))
    if word in _KINDS:
        found.append(and_(noise_kind == word, noise_ratio > 0))
    if word in _NORMS:
        found.append(norm == word)
    if word == "imbalance":
        found.append(imbalance_factor > 1)
    return or_(*found)


def _holds(column: Any, word: str) -> ColumnElement[bool]:
    lowered = func.lower(column)
    holds = lowered.contains(word, autoescape=True)
    if not word.isascii() or not word.isdigit():
        # A database may know the small letters of ASCII alone.
        return holds if word.isascii() else or_(holds, *_cased(column, word))
    return and_(holds, lowered.regexp_match(f"(^|[^0-9]){word}([^0-9]|$)"))


def _cased(column: Any, word: str) -> list[ColumnElement[bool]]:
    forms = {word, word.upper(), word.capitalize(), word.title()}
    return [column.contains(form, autoescape=True) for form in sorted(forms)]


def _compared(column: str, sign: str, number: float) -> ColumnElement[bool]:
    value, scale = NUMBERS[column]
    compared: ColumnElement[bool] = _SIGNS[sign](value(), number / scale)
    return compared


def _made(sign: str, day: str) -> ColumnElement[bool]:
    try:
        moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
    except ValueError:
        return false()
    compared: ColumnElement[bool] = _SIGNS[sign](Run.created_at, moment)
    return compared


def tagged(tags: tuple[str, ...]) -> ColumnElement[bool]:
    """Return the condition on runs that have one of the tags."""
    names = [searchable(tag) for tag in tags]
    return Run.id.in_(select(RunTag.run_id).where(RunTag.tag.in_(names)))
