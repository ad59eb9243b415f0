"""Reads that give their last good answer while the database is away, and say so."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

import streamlit as st

from app.text.format import now
from db.errors import DatabaseBusyError
from tasks.processes.database_retry import TRANSIENT_ERRORS

MAX_KEPT = 128
"""Answers that are kept for bad times."""
ASK_AGAIN = 2.0
"""Seconds for which a database that did not answer is not asked again."""

R = TypeVar("R")


@dataclass
class _Memory:
    answers: dict[Hashable, tuple[datetime, Any]] = field(default_factory=dict)
    away: str | None = None
    asked_at: float = -ASK_AGAIN


@st.cache_resource(show_spinner=False)
def _memory() -> _Memory:
    return _Memory()


def away() -> str | None:
    """Return what to say while the database does not answer, or None: it does."""
    return _memory().away


class Lasting(Generic[R]):
    """A cached read; what it last gave stands in for what cannot be read now."""

    def __init__(self, read: Callable[..., R]) -> None:
        self._read = read
        cached: Any = read  # Streamlit's wrapper
        self.clear: Callable[[], None] = cached.clear

    def __call__(self, *given: Hashable) -> R:
        """Read.

        Raises:
            DatabaseError: It does not answer, and never did to this question.
        """
        memory, key = _memory(), (self._read, *given)
        known = memory.answers.get(key)
        if known and memory.away and time.monotonic() < memory.asked_at + ASK_AGAIN:
            return self._recalled(known)
        memory.asked_at = time.monotonic()
        try:
            found = self._read(*given)
        except TRANSIENT_ERRORS as error:
            if known is None:
                raise
            what = "busy" if isinstance(error, DatabaseBusyError) else "unreachable"
            memory.away = f"Database {what}, showing data from {known[0].astimezone():%H:%M:%S}"
            return self._recalled(known)
        memory.away = None
        memory.answers.pop(key, None)  # the newest stand last
        memory.answers[key] = (now(), found)
        if len(memory.answers) > MAX_KEPT:
            memory.answers.pop(next(iter(memory.answers)))
        return found

    def _recalled(self, known: tuple[datetime, Any]) -> R:
        found: R = known[1]
        return found
