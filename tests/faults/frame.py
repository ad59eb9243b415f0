"""What a fault programme is given, and what it says."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from db.session import Database
from tests.real.studio import Studio


@dataclass(frozen=True)
class Plan:
    """One programme on one database.

    Attributes:
        seed: Of every random choice.
        share: Of the full programme; the test suite runs a thirtieth.
        kind: ``sqlite`` or ``postgresql``.
        folder: The data directory of this programme: empty, with a short path.
        url: Of an empty database of that kind with all tables.
    """

    seed: int
    share: float
    kind: str
    folder: Path
    url: str

    def count(self, full: int, least: int = 1) -> int:
        """Return how many of ``full`` cases this share has."""
        return max(least, round(full * self.share))


@dataclass(frozen=True)
class Figure:
    """One figure, its target, and whether it was met.

    The target of a ``timed`` one is a time, or a share of one: what else the machine does moves
    it, so that the programme judges it where it runs alone, and the test suite does not.
    """

    what: str
    target: str
    found: str
    ok: bool
    timed: bool = False


def leftovers(outlived: int, at_the_end: int) -> Figure:
    """Say how many trainers outlived what must end them, and how many processes stayed."""
    found = f"{outlived} trainers, {at_the_end} processes at the end"
    return Figure("processes left behind", "0", found, outlived == at_the_end == 0)


class Programme(Protocol):
    """A module of this package; its docstring says what is done."""

    __name__: str
    TITLE: str

    @staticmethod
    def measure(plan: Plan) -> list[Figure]:
        """Do it, and say what was found."""
        ...


@contextmanager
def opened(plan: Plan, **changed: float) -> Iterator[Studio]:
    """Give the installation of a plan, and end its processes."""
    database = Database(plan.url)
    studio = Studio(plan.folder, database, **changed)
    try:
        yield studio
    finally:
        studio.close()
        database.dispose()
