"""What the two databases spell differently, and values that both can hold."""

import math
from typing import Any

from sqlalchemy.orm import Session

from db.models import Base


def dialect_insert(session: Session, model: type[Base]) -> Any:
    """Return an INSERT that can say ON CONFLICT; the two dialects share the methods, not a type."""
    if session.get_bind().dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(model)
    from sqlalchemy.dialects import postgresql  # each loads its drivers' dialects

    return postgresql.insert(model)


def plain(value: Any) -> Any:
    """Return a NumPy number as Python's; SQLite would store its bytes without a word."""
    return value.item() if type(value).__module__ == "numpy" else value


def finite(value: float | None) -> float | None:
    """Return the number, or nothing in the place of NaN and infinity."""
    return float(value) if value is not None and math.isfinite(value) else None


def finite_json(value: Any) -> Any:
    """Return the JSON value with nothing in the place of NaN and infinity, which JSON lacks."""
    value = plain(value)
    if isinstance(value, dict):
        return {str(key): finite_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(item) for item in value]
    return finite(value) if isinstance(value, float) else value


def searchable(text: str) -> str:
    """Return a text that someone looks for, as it can be compared with what is stored."""
    return tidy_text(text) or ""


def tidy_text(text: str | None) -> str | None:
    """Return the text without what PostgreSQL refuses: NUL and lone surrogates."""
    if text is None:
        return None
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
