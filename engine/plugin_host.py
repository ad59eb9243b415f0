"""What installed distributions add to the product, by entry points.

A distribution that names a class under ``caat_studio.methods``, ``.datasets``, ``.backbones`` or
``.attacks`` adds it to the menu of that kind. It is installed code: it may do what this program
may, and is trusted as far as whoever installed it trusts it. What is broken in it is kept in a line
(`Plugin.problem`), and the product goes on without it.
"""

import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, EntryPoints, entry_points

GROUP = "caat_studio.{}s"
PATIENCE = 30.0
"""Seconds after which an import is taken to have no end."""
SLOW = 1.0
"""Seconds of an import that every command has to wait for, and that is worth a word."""
STUCK = 3.0
"""Seconds that an import waits for another one's end, after which it is taken to wait for us."""
_importing = threading.local()
_MODULE_LOCK = ("acquire", "<frozen importlib._bootstrap>")
"""The function in which an import waits for the end of the same one in another thread."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}")


class UnfitError(ValueError):
    """What an entry point names does not keep the contract; the argument says why."""


@dataclass(frozen=True)
class Plugin:
    """One class that an installed distribution adds.

    Attributes:
        kind: ``method``, ``dataset``, ``backbone`` or ``attack``.
        name: On the menu; of one that was left out, its entry point's.
        distribution: What was installed.
        version: Of it.
        target: Where the class is: ``module:Class``.
        seconds: That its import took.
        problem: Why it was left out; None if it was not.
    """

    kind: str
    name: str
    distribution: str
    version: str
    target: str
    seconds: float
    problem: str | None = None


def load(kind: str, accept: Callable[[object], str]) -> list[Plugin]:
    """Import every class that is installed for a kind, and offer it.

    Args:
        kind: Of the menu.
        accept: Puts a class on the menu and returns its name; raises `UnfitError`.
    """
    order = sorted(_installed(kind), key=lambda point: (_distribution(point), point.name))
    return [_loaded(kind, point, accept) for point in order]


def require_name(name: str) -> None:
    """Refuse what cannot stand in a file, a table and a message as it is.

    Raises:
        UnfitError: It cannot.
    """
    if not _NAME.fullmatch(name):
        raise UnfitError(f"the name {name!r:.80} is not valid; allowed: letters, digits and ._:+-")


def _loaded(kind: str, point: EntryPoint, accept: Callable[[object], str]) -> Plugin:
    version = point.dist.version if point.dist else "unknown"
    plugin = Plugin(kind, point.name, _distribution(point), version, point.value, 0.0)
    began = time.monotonic()
    try:
        name = accept(_imported(point))
    except UnfitError as error:
        return replace(plugin, seconds=time.monotonic() - began, problem=str(error))
    except Exception as error:  # noqa: BLE001 - somebody else's class fails in any way it likes
        return replace(plugin, seconds=time.monotonic() - began, problem=_told(error))
    return replace(plugin, name=name, seconds=time.monotonic() - began)


def _imported(point: EntryPoint) -> object:
    """Return what an entry point names, imported in a thread, which can be given up.

    Raises:
        UnfitError: Its import fails, ends the program, or does not end.
    """
    answer: list[object] = []
    problem: list[str] = []

    def run() -> None:
        _importing.is_true = True
        try:
            answer.append(point.load())
        except BaseException as error:  # noqa: BLE001 - also SystemExit: it is not its program
            problem.append(f"its import fails: {_told(error)}")

    thread = threading.Thread(target=run, name=f"import {point.value}", daemon=True)
    thread.start()
    waits_for_us = _waits_for_us(thread)
    if answer:
        return answer[0]
    if waits_for_us:
        raise UnfitError(
            "its import needs one that needs it: import from caat_studio.plugins alone"
        )
    endless = f"its import did not end in {PATIENCE:.0f} seconds"
    raise UnfitError(problem[0] if problem else endless)


def is_importing() -> bool:
    """Tell whether this thread is that of a plug-in's import: it sees the menu as it is so far."""
    return getattr(_importing, "is_true", False)


def _waits_for_us(thread: threading.Thread) -> bool:
    """Wait for an import; tell whether it waits for a module that whoever waits here imports."""
    give_up, stuck_at = time.monotonic() + PATIENCE, None
    while thread.is_alive() and (now := time.monotonic()) < give_up:
        thread.join(0.05)
        frame = sys._current_frames().get(thread.ident or 0)
        code = frame.f_code if frame else None
        if code is None or (code.co_name, code.co_filename) != _MODULE_LOCK:
            stuck_at = None
        elif stuck_at is None:
            stuck_at = now
        elif now > stuck_at + STUCK:
            return True
    return False


def _told(error: BaseException) -> str:
    first = str(error).strip().splitlines()
    return f"{type(error).__name__}: {first[0][:200]}" if first else type(error).__name__


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "unknown"


def _installed(kind: str) -> EntryPoints:
    """Return the entry points of this environment for a kind; it takes some milliseconds."""
    return entry_points(group=GROUP.format(kind))
