"""The processes that `caat up` keeps running until it ends."""

import contextlib
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

    It ends with this one, and is a session of its own, as the other children are. Its work is
    given a file, from which a byte can be read once it was let go on.
    """

    def __init__(self, work: Callable[[int], NoReturn]) -> None:
        pipe = until, self._go_on = os.pipe()
        # A daemon: this process may be interrupted before anybody has the fork to stop it.
        self._process = get_context("fork").Process(
            target=_forked, args=(os.getpid(), pipe, work), daemon=True
        )
        self._process.start()
        os.close(until)

    def let_go_on(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # it is gone, and whoever polls it is told
            os.write(self._go_on, b"1")
        os.close(self._go_on)

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


def _forked(parent: int, pipe: tuple[int, int], work: Callable[[int], NoReturn]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # the work may set others; until then no word
        signal.signal(number, signal.SIG_DFL)
    orphan.die_with_parent(parent)
    os.setsid()
    until, go_on = pipe
    os.close(go_on)  # else no end of file would come
    work(until)


@dataclass
class Child:
    """A process that is kept running until we end."""

    title: str
    command: Callable[[], list[str]]
    at_first: Callable[[int], NoReturn] | None = None
    """The same work as a fork, which starts sooner; on Linux, and for the first start alone."""
    orphaned: signal.Signals = signal.SIGKILL
    """What it gets when we are killed."""
    process: Process | None = None
    waiting: Fork | None = None
    """The process, as long as it waits for its start."""
    started_at: float = field(default=0.0)
    pause: float = RESTART_AFTER

    def prepare(self) -> None:
        """Fork, where that can be; it loads what it needs, and waits for the start."""
        if self.at_first is not None and sys.platform == "linux":
            self.process = self.waiting = Fork(self.at_first)

    def start(self) -> None:
        self.started_at = time.monotonic()
        if self.waiting is not None:
            self.waiting.let_go_on()
            self.waiting = None
            return
        # A session of its own: Ctrl-C reaches us alone, and we end the others in their order.
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
        if self.process is None or self.process.poll() is not None:
            return
        if self.waiting is not None:
            self.process.kill()  # it has begun nothing that it had to end in good order
        else:
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
