"""When a worker that was started for what waits now (``--until-empty``) has done it all."""

import contextlib
import time
from collections.abc import Callable

from db.errors import DatabaseError
from db.reads import placement
from db.writes import interruption
from tasks.processes.host import identity
from tasks.settings import OFTEN, open_database, settings
from tasks.worker import housekeeping, reconcile, slot

LOOKS = 3
"""Looks in a row that have to find nothing: between two, a run may be on its way to the slot."""


def end_when_empty(end: Callable[[], None]) -> None:
    """Call ``end`` once no run is here and none waits that this worker may take.

    A database that does not answer has not said that nothing waits.
    """
    quiet = 0
    while quiet < LOOKS and not housekeeping.draining.is_set():
        time.sleep(settings().sweep_seconds)
        quiet = quiet + 1 if _is_empty() else 0
    end()


def _is_empty() -> bool:
    if not slot.is_free():
        return False
    with contextlib.suppress(DatabaseError), open_database(within=OFTEN).read() as session:
        waits = placement.claimable(session, identity().id)
        comes = any(map(reconcile.has_tries_left, interruption.resumable(session, 0)))
        return not waits and not comes and slot.is_free()
    return False
