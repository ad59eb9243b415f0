"""Where a run is to be done, and when: what may be asked for, and what it waits for."""

import getpass
import os
from dataclasses import dataclass

from pydantic import ByteSize, TypeAdapter, ValidationError

from db.models import DEFAULT_QUEUE, NORMAL_PRIORITY
from db.reads import placement
from db.reads.waiting import Wait
from db.session import Database
from engine.errors import UserError
from tasks.queue_names import ALLOWED, is_queue, parse_queues
from tasks.settings import settings

DEVICE_QUEUES = ("cpu", "gpu")
"""A worker serves its device's own and the default one, unless it is told which."""
PRIORITIES = range(10)
MOST_MEMORY = 2**50
_BYTES = TypeAdapter(ByteSize)


@dataclass(frozen=True)
class Place:
    """What is asked for.

    Attributes:
        queue: Only workers that serve it take the run.
        priority: 0 to 9; the highest is taken first.
        memory_needed: Bytes that a worker's device must have; None is any.
    """

    queue: str = DEFAULT_QUEUE
    priority: int = NORMAL_PRIORITY
    memory_needed: int | None = None

    def __post_init__(self) -> None:
        if not is_queue(self.queue):
            raise UserError(f"queue: {self.queue!r} cannot be one; allowed: {ALLOWED}")
        if self.priority not in PRIORITIES:
            raise UserError(f"priority: {self.priority} is not valid; allowed: 0 to 9")

    def require_known(self, database: Database) -> None:
        """Refuse a queue that no worker has ever served: most likely it is mistyped.

        Raises:
            UserError: It is unknown.
            DatabaseError: The database did not answer.
        """
        if self.queue in known_queues(database):
            return
        known = ", ".join(known_queues(database))
        raise UserError(
            f"queue: no worker has served {self.queue!r} so far; known: {known}; a new one begins "
            f"with `caat worker --queues {self.queue}`"
        )


ANYWHERE = Place()


def changed(place: Place, *, queue: str | None, priority: int | None, memory: str | None) -> Place:
    """Return a place with what is given instead; None keeps what is there.

    Raises:
        UserError: One of them cannot be.
    """
    return Place(
        queue=place.queue if queue is None else queue,
        priority=place.priority if priority is None else priority,
        memory_needed=place.memory_needed if memory is None else parse_memory(memory),
    )


def known_queues(database: Database) -> list[str]:
    """Return the queues that can be asked for: the usual ones, and what workers serve or served."""
    with database.read() as session:
        found = [queue.name for queue in placement.queues(session)]
    return list(dict.fromkeys([DEFAULT_QUEUE, *DEVICE_QUEUES, *found]))


def served_queues(device: str) -> tuple[str, ...]:
    """Return the queues that this process serves as a worker on a device."""
    own = (DEFAULT_QUEUE, DEVICE_QUEUES[device.startswith("cuda")])
    return parse_queues(settings().queues) or own


def parse_memory(text: str) -> int | None:
    """Return bytes of a text like 10GiB; nothing of an empty one.

    Raises:
        UserError: It is no size.
    """
    if not text.strip():
        return None
    try:
        found = int(_BYTES.validate_python(text.strip()))
    except (ValidationError, OverflowError):
        found = 0
    if not 0 < found <= MOST_MEMORY:
        raise UserError(f"memory: {text!r} is no size; write it like 10GiB")
    return found


def owner() -> str:
    """Return whose a run is that this process submits: the system user's."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        name = str(os.getuid())
    return name[:100]


def in_gib(number: int) -> str:
    """Return bytes as a person reads them."""
    return f"{number / 2**30:.3g} GiB"


def in_words(place: Place) -> str:
    """Return what is asked for, in one line."""
    memory = f", {in_gib(place.memory_needed)} of memory" if place.memory_needed else ""
    return f"in queue {place.queue}, priority {place.priority}{memory}"


def what_it_waits_for(wait: Wait) -> str:
    """Say why a queued run has not begun."""
    queue = f"queue {wait.queue!r}"
    if not wait.live:
        return "Waits for a worker: none is running"
    if not wait.serving:
        return f"Waits for a worker that serves {queue}: none that is running does"
    if not wait.able and wait.memory_needed:
        most = in_gib(wait.most_memory or 0)
        needed = in_gib(wait.memory_needed)
        return f"Waits for a worker with {needed} of memory: the largest in {queue} has {most}"
    before = f", behind {wait.ahead:,} of {queue}" if wait.ahead else ""
    if wait.free:
        return f"A worker takes it in a moment{before}"
    return f"Waits for a free worker{before}"
