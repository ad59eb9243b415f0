"""A trainer that has loaded everything and waits for a run, if the settings want one.

It saves the seconds that loading torch takes between a launch and the first step. It knows nothing
of any run before it becomes the trainer of one, and is that of no second one, so that a run in it
gives the same numbers as in a process of its own.
"""

import contextlib
import json
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from tasks.processes import orphan
from tasks.settings import settings

READY, TAKEN = b"ready\n", b"taken\n"
PAUSE = 2.0
"""Seconds after a start in which nothing else is loaded beside it."""
_ANSWERS_WITHIN = 1.0


def start_trainer(words: list[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start the trainer of an attempt as a process of its own, which loads everything first."""
    return subprocess.Popen(
        orphan.command(sys.executable, "-m", "tasks.trainer", *words),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


class Spare:
    """At most one such process; the thread that keeps it has to live as long as it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._next = 0.0

    def keep(self) -> None:
        """Start one if there is none, and one is wanted."""
        if not settings().warm_minutes or time.monotonic() < self._next or self._lives():
            return
        self._next = time.monotonic() + PAUSE
        self._is_ready = False
        self._process = subprocess.Popen(
            orphan.command(
                sys.executable, "-m", "tasks.trainer", "--warm", str(settings().warm_minutes)
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )

    def take(self, words: list[str], log: Path) -> "subprocess.Popen[bytes] | None":
        """Make it the trainer of an attempt, and return it; None: there is none that is ready.

        Args:
            words: What follows ``python -m tasks.trainer``.
            log: What it writes from now on is added to this file.
        """
        self._next = time.monotonic() + PAUSE
        process = self._process
        if process is None or not self._lives() or not self._told_ready(process):
            return None
        self._process = None
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps({"words": words, "log": str(log)}).encode() + b"\n")
            process.stdin.close()
            is_taken = self._says(process, TAKEN, _ANSWERS_WITHIN)
        except OSError:  # its time was over just now
            is_taken = False
        if is_taken:
            return process
        _end(process)
        return None

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            _end(self._process)
            self._process = None

    def _lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _told_ready(self, process: "subprocess.Popen[bytes]") -> bool:
        self._is_ready = self._is_ready or self._says(process, READY, 0)
        return self._is_ready

    def _says(self, process: "subprocess.Popen[bytes]", word: bytes, seconds: float) -> bool:
        assert process.stdout is not None
        answers, _, _ = select.select([process.stdout], [], [], seconds)
        return bool(answers) and process.stdout.read(len(word)) == word


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(OSError):
        process.send_signal(signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


spare = Spare()
"""This worker's."""
