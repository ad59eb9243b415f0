"""The broker that `caat up` starts, where the settings name none."""

from app.cli.processes import Child
from app.cli.terminal import say
from tasks.queue import broker
from tasks.settings import settings


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
