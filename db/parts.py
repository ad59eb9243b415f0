"""What an evaluation has found batch by batch, kept until the whole of it is stored.

Ask `fence` of `db.writes.transitions` first, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db.models import Snapshot

if TYPE_CHECKING:
    import numpy as np

KIND = "part"
"""Of its snapshots; their epoch is the number of their first part."""


class Part(NamedTuple):
    """One batch.

    Attributes:
        number: Its place among the batches of the evaluation, from 0.
        mark: Tells its images and labels from others.
        said: (B,) class seen in what the attack made of each.
    """

    number: int
    mark: int
    said: np.ndarray


def write_parts(session: Session, run_id: str, attempt: int, *, parts: Sequence[Part]) -> None:
    """Store parts that were found one after the other."""
    import numpy as np

    from db.writes.records import write_snapshot

    sizes = [len(part.said) for part in parts]
    columns = {
        "number": np.repeat(np.array([part.number for part in parts], np.int64), sizes),
        "mark": np.repeat(np.array([part.mark for part in parts], np.int64), sizes),
        "said": np.concatenate([part.said for part in parts]),
    }
    first = parts[0].number
    write_snapshot(session, run_id, attempt, epoch=first, kind=KIND, columns=columns)


def parts(session: Session, run_id: str) -> dict[int, Part]:
    """Return what is stored by number; what a later attempt has found counts."""
    import numpy as np

    from db import snapshot

    stored = select(Snapshot.data).where(Snapshot.run_id == run_id, Snapshot.kind == KIND)
    found: dict[int, Part] = {}
    for data in session.execute(stored.order_by(Snapshot.attempt, Snapshot.epoch)).scalars():
        columns = snapshot.decode(data)
        numbers, starts = np.unique(columns["number"], return_index=True)
        apart = np.split(columns["said"], starts[1:])
        for number, start, said in zip(numbers.tolist(), starts, apart, strict=True):
            found[number] = Part(number, int(columns["mark"][start]), said)
    return found


def drop_parts(session: Session, run_id: str) -> None:
    """Forget them, once the evaluation is stored."""
    session.execute(delete(Snapshot).where(Snapshot.run_id == run_id, Snapshot.kind == KIND))
