"""A scenario from a file and from ``a.b=value`` settings."""

import codecs
import contextlib
import copy
import errno
import os
import select
import stat
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.errors import UserError
from engine.mistakes import error_lines
from engine.new_scenario import new_scenario
from engine.scenario import Scenario

LARGEST = 1_000_000
"""Bytes of a scenario file; a real one has some hundred."""
PATIENCE = 30.0
"""Seconds to wait for the program at the other end of a pipe."""
_OTHER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class _Change:
    """One ``--set``.

    Attributes:
        written: As it was written.
        path: ``threat.epsilon``.
        text: The value that was written; empty leaves the field out.
    """

    written: str
    path: str
    text: str


def _read_change(written: str) -> _Change:
    path, equals, text = written.removeprefix("\ufeff").partition("=")
    if not equals or not path.strip().rpartition(".")[2]:
        raise UserError(f"--set: {written!r} is not of the form a.b=value")
    return _Change(written, path.strip(), text.strip())


def read_scenario(file: Path, settings: list[str]) -> Scenario:
    """Read a TOML file, put the ``a.b=value`` settings over it, and check everything.

    Raises:
        UserError: One line per mistake, each with the field, the value and what is allowed.
    """
    values = read_toml(file)
    before, changes = copy.deepcopy(values), [_read_change(written) for written in settings]
    for change in changes:
        _put(values, change)
    _require_lengths_of_the_norm(before, values, changes)
    try:
        return new_scenario(values)
    except ValidationError as error:
        lines = error_lines(error, Scenario)
        raise UserError(*(f"{field}: {text}" for field, text in lines.items())) from None


def _require_lengths_of_the_norm(
    before: dict[str, Any], after: dict[str, Any], changes: list[_Change]
) -> None:
    """Refuse another norm over a file whose lengths were written for its own norm."""
    was, now = (_table(values, "threat").get("norm") or "linf" for values in (before, after))
    if was == now:
        return
    told = {change.path for change in changes}
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


def read_toml(file: Path) -> dict[str, Any]:
    """Read a TOML file in UTF-8, with or without a byte-order mark.

    Raises:
        UserError: It cannot be read, or is none.
    """
    return parse_toml(_content(file), str(file))


def parse_toml(content: bytes, named: str) -> dict[str, Any]:
    """Read what a TOML file holds; ``named`` is what a mistake calls it.

    Raises:
        UserError: It is no TOML.
    """
    if content.startswith(_OTHER_MARKS) or b"\0" in content:
        raise UserError(f"{named}: is no UTF-8 text (UTF-16?); save it as UTF-8")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{named}: line {line} is not UTF-8; save the file as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"{named}: cannot be read as TOML ({error})") from error


def _content(file: Path) -> bytes:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK)  # a pipe that nobody opens would block
        try:
            content = b"".join(_chunks(handle))
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        why = getattr(error, "strerror", None) or error
        raise UserError(f"{file}: cannot be read ({why}); name a scenario file") from None
    if len(content) > LARGEST:
        raise UserError(f"{file}: is larger than {LARGEST:,} bytes, so it is no scenario file")
    return content


def _chunks(handle: int) -> Iterator[bytes]:
    """Give what a file or a pipe holds, as far as one byte beyond the largest that is allowed."""
    is_pipe, left = stat.S_ISFIFO(os.fstat(handle).st_mode), LARGEST + 1
    waiting = is_pipe  # until its writer is there, a pipe is at its end
    while left:
        chunk = None
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(handle, left)
        if chunk:
            yield chunk
            waiting, left = False, left - len(chunk)
        elif chunk is None or waiting:
            if not select.select([handle], [], [], PATIENCE)[0]:
                raise OSError(errno.ETIMEDOUT, f"nothing was written into it for {PATIENCE:.0f} s")
            waiting = False
        else:
            return


def _put(values: dict[str, Any], change: _Change) -> None:
    *tables, key = change.path.split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise UserError(f"--set: {change.written!r} goes into {table!r}, which is no table")
    if change.text:
        values[key] = _value(change.text)
    else:
        values.pop(key, None)


def _value(text: str) -> Any:
    """Read a TOML value; what is none is a plain string, so that quotes may be left out."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
