"""What a process writes on its own behalf, into logs and as errors, holds no secret."""

import contextlib
import logging
import sys
import threading
import traceback
import warnings
from functools import cache
from types import TracebackType
from typing import Any

from pydantic import SecretStr

from db.errors import SettingsError
from db.settings import given_password, sources
from db.urls import UrlError, redact, split
from tasks.settings import Settings, settings

_URLS = ("database_url", "broker_url")


@cache
def secrets() -> frozenset[str]:
    """Return every secret in this process's settings, also where they are wrong."""
    found: set[str] = set()
    for name, (_, value) in sources(Settings).items():
        if name in _URLS:
            found |= _of_url(value)
        elif Settings.model_fields[name].annotation == SecretStr | None:
            found.add(value)
    with contextlib.suppress(SettingsError, ValueError):  # told by whoever needs the settings
        found |= {p for of in ("database", "broker") if (p := given_password(settings(), of))}
    return frozenset(found)


def _of_url(url: str) -> set[str]:
    try:
        return set(split(url).secrets)
    except UrlError:
        return {url}  # nothing repeats a part of what cannot be taken apart


def without_secrets(text: str) -> str:
    return redact(text, secrets())


def hide_in_logs() -> None:
    """Blot the secrets out of whatever this process logs, libraries' words and errors included."""
    if getattr(logging.getLogRecordFactory(), "hides_secrets", False):
        return
    make = logging.getLogRecordFactory()

    def record(*given: Any, **named: Any) -> logging.LogRecord:
        made = make(*given, **named)
        _redact(made)
        return made

    record.hides_secrets = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(record)


def _redact(record: logging.LogRecord) -> None:
    try:
        text = record.getMessage()
    except (TypeError, ValueError, KeyError):  # its own mistake; logging tells it
        return
    if (clean := without_secrets(text)) != text:
        record.msg, record.args = clean, ()
    if record.exc_info and record.exc_info[1] is not None:
        told = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        if (clean := without_secrets(told)) != told:
            record.exc_text = clean


def hide_in_tracebacks() -> None:
    """Blot the secrets out of this process's warnings, and of what it or a thread of it dies of.

    Python tells these on stderr, not in the log.
    """
    worded = warnings.formatwarning
    warnings.formatwarning = lambda *given, **named: without_secrets(worded(*given, **named))
    sys.excepthook = _print_exception
    threading.excepthook = _print_thread_exception


def _print_thread_exception(end: threading.ExceptHookArgs) -> None:
    if end.exc_type is not SystemExit:
        name = end.thread.name if end.thread else "unknown"
        _print_exception(
            end.exc_type, end.exc_value, end.exc_traceback, where=f"In thread {name}: "
        )


def _print_exception(
    kind: type[BaseException],
    error: BaseException | None,
    trace: TracebackType | None,
    *,
    where: str = "",
) -> None:
    told = "".join(traceback.format_exception(kind, error, trace))
    with contextlib.suppress(OSError):  # nobody listens
        sys.stderr.write(without_secrets(f"{where}{told}"))
