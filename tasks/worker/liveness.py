"""Does the worker that holds a run still live? Its own evidence decides, and a look never writes.

Where this process can see the lock of the attempt (`processes.lock_domain`) the kernel alone
decides, whatever any clock says. Elsewhere the lease does, by the clock of the PostgreSQL server.
SQLite has no clock but that of each process: there an attempt is gone once this process has seen
it say nothing for as long as its lease, by a clock that nobody can set.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from db.reads.rows import Holder, RunRow
from db.session import Database
from tasks.processes import lock
from tasks.processes.host import boot_id
from tasks.processes.lock_domain import domain_of
from tasks.settings import settings

Row = TypeVar("Row", bound=RunRow)


@dataclass(frozen=True)
class Watch:
    """Since when each attempt has said nothing, as this process saw it."""

    _seen: dict[tuple[str, int], tuple[datetime, float]] = field(default_factory=dict)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def silent_seconds(self, holder: Holder) -> float:
        """Return for how long its lease has been as it is now, as far as anybody has looked."""
        key, now = (holder.run_id, holder.number), time.monotonic()
        with self._one_at_a_time:
            lease, since = self._seen.get(key, (None, now))
            if lease != holder.lease_until:
                since = now
            self._seen.pop(key, None)  # the newest stand last
            self._seen[key] = (holder.lease_until, since)
            if len(self._seen) > MAX_WATCHED:
                self._seen.pop(next(iter(self._seen)))
        return now - since


MAX_WATCHED = 10_000
_watch = Watch()


def silent_seconds(holder: Holder) -> float:
    """Return for how long an attempt has said nothing while this process looked."""
    return _watch.silent_seconds(holder)


LOST_WORKER = "Its worker is gone; a worker that starts goes on from the last finished epoch"
LOST_JOB = "Its worker is gone; a worker that starts goes on from what is stored"


def is_gone(holder: Holder, database: Database) -> bool:
    """Tell whether the worker of an attempt, as it was read just now, is gone."""
    silent = silent_seconds(holder)
    is_locked = lock_is_held(holder)
    if is_locked is not None:
        return not is_locked
    return silent > holder.lease_seconds if database.is_sqlite else holder.lease_left < 0


def lock_is_held(holder: Holder) -> bool | None:
    """Tell whether an attempt's lock is held; None where it cannot be seen from here."""
    if not holder.lock_domain or holder.boot_id != boot_id():
        return None
    for data_dir in (Path(holder.data_dir), settings().data_dir):
        if domain_of(data_dir) == holder.lock_domain:
            try:
                return lock.is_held(data_dir / "runs" / holder.run_id)
            except OSError:
                return None
    return None


def with_lost_marked(rows: Sequence[Row], database: Database) -> list[Row]:
    """Return runs as they are shown: one whose worker is gone is marked as lost."""
    return [
        replace(row, is_lost=True) if row.holder and is_gone(row.holder, database) else row
        for row in rows
    ]
