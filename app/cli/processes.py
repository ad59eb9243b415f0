"""The processes that `caat up` keeps running until it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import NoReturn, Protocol

import typer

from tasks.processes import orphan

GRACE = 30.0
"""Seconds for a worker to stop its run in good order."""
RESTART_AFTER = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between two starts of what ends again and again."""
STEADY_AFTER = 60.0
"""What has lived for so many seconds is started again at once."""


class Process(Protocol):
    """What is asked of a process, of `subprocess.Popen` and of a fork alike."""

    def poll(self) -> int | None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


class Fork:
    """A process that goes on with what this one has loaded; only where it has one thread.

    It ends with this one, and is a session of its own, as the other children are.
    """

    def __init__(self, work: Callable[[], NoReturn]) -> None:
        self._process = get_context("fork").Process(target=_forked, args=(os.getpid(), work))
        self._process.start()

    def poll(self) -> int | None:
        return self._process.exitcode

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("fork", timeout or 0)
        return self._process.exitcode


def _forked(parent: int, work: Callable[[], NoReturn]) -> None:
    orphan.die_with_parent(parent)
    os.setsid()
    work()


@dataclass
class Child:
    """A process that is kept running until we end."""

    title: str
    command: Callable[[], list[str]]
    at_first: Callable[[], NoReturn] | None = None
    """The same work as a fork, which starts sooner; on Linux, and for the first start alone."""
    orphaned: signal.Signals = signal.SIGKILL
    """What it gets when we are killed."""
    process: Process | None = None
    started_at: float = field(default=0.0)
    pause: float = RESTART_AFTER

    def start(self) -> None:
        self.started_at = time.monotonic()
        work, self.at_first = self.at_first, None
        # A session of its own: Ctrl-C reaches us alone, and we end the others in their order.
        if work is not None and sys.platform == "linux":
            self.process = Fork(work)
            return
        words = orphan.command(*self.command(), by=self.orphaned)
        self.process = subprocess.Popen(words, start_new_session=True)

    @property
    def exit_code(self) -> int | None:
        """Return how it ended, as `subprocess` tells it; nothing while it has not."""
        return None if self.process is None else self.process.poll()

    @property
    def is_gone(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def keep_alive(self) -> None:
        """Start it again if it is gone, after a pause that doubles as long as it does not stay."""
        lived = time.monotonic() - self.started_at
        if not self.is_gone or lived < self.pause:
            return
        self.pause = RESTART_AFTER if lived > STEADY_AFTER else min(2 * self.pause, LONGEST_PAUSE)
        how = "" if self.exit_code is None else f" ({how_it_ended(self.exit_code)})"
        typer.echo(f"caat: the {self.title} ended{how}; starting it again", err=True)
        self.start()

    def terminate(self) -> None:
        """Ask it to end, and do not wait."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def stop(self) -> None:
        self.terminate()
        self.wait(GRACE)

    def wait(self, grace: float) -> None:
        """Wait until it has ended, and end it after some seconds."""
        if self.process is None:
            return
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def how_it_ended(code: int) -> str:
    """Return an exit code in words."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
