"""The processes that `caat up` keeps running until it ends."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import typer

from app.cli.terminal import say
from tasks.processes import orphan
from tasks.queue import broker
from tasks.settings import settings

GRACE = 30.0
"""Seconds for a worker to stop its run in good order."""
RESTART_AFTER = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between two starts of what ends again and again."""
STEADY_AFTER = 60.0
"""What has lived for so many seconds is started again at once."""


@dataclass
class Child:
    """A process that is kept running until we end."""

    title: str
    command: Callable[[], list[str]]
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = field(default=0.0)
    pause: float = RESTART_AFTER

    def start(self) -> None:
        self.started_at = time.monotonic()
        # A session of its own: Ctrl-C reaches us alone, and we end the others in their order.
        self.process = subprocess.Popen(orphan.command(*self.command()), start_new_session=True)

    @property
    def is_gone(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def keep_alive(self) -> None:
        """Start it again if it is gone, after a pause that doubles as long as it does not stay."""
        lived = time.monotonic() - self.started_at
        if not self.is_gone or lived < self.pause:
            return
        self.pause = RESTART_AFTER if lived > STEADY_AFTER else min(2 * self.pause, LONGEST_PAUSE)
        typer.echo(f"caat: the {self.title} ended; starting it again", err=True)
        self.start()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Broker(Child):
    """The embedded broker; what it stored is set aside if it cannot start with it."""

    def __init__(self) -> None:
        super().__init__("broker", broker.server_command)
        self._answered = False

    def start(self) -> None:
        self._answered = False
        super().start()

    def keep_alive(self) -> None:
        """Start it again if it is gone: with what it stored, unless it never answered with that."""
        self._answered = self._answered or broker.is_up(settings().broker_url)
        broker.share()
        damaged = broker.set_aside() if self.is_gone and not self._answered else None
        if damaged is None:
            super().keep_alive()
            return
        say(
            f"caat: the broker cannot read its stored messages; they are set aside in {damaged}, "
            "and it starts empty (no run is lost: the database is the queue)",
            err=True,
        )
        self.start()
