"""What people call a run: its name, tags and notes, changed whatever its status is.

Two people may have it open at once. A change of the name or of the notes says what it found there,
and happens only if that still stands; tags are put on and taken off, which hurts nobody's.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from db.models import USER, Run, RunStatus, RunTag, SavedView
from db.portable import dialect_insert, searchable, tidy_text
from db.writes.state_machine import NO_SYNC, Note, locked_status, record

MOST_TAGS = 50
"""Of one run."""
LARGEST_QUOTED = 1_000
"""Letters of what a change replaced that its event keeps."""


@dataclass(frozen=True)
class Change:
    """What becomes of a text, and what its author saw before."""

    new: str
    seen: str | None = None
    """None: whatever stands there."""


@dataclass(frozen=True)
class Edit:
    """What one person changes of a run; what is empty stays."""

    name: Change | None = None
    notes: Change | None = None
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edited:
    """What an edit led to.

    Attributes:
        done: What was changed, in words; nothing if all of it stood there already.
        stands: Of a text that somebody else has changed meanwhile: its name and what stands there
            now. Nothing was changed then.
        too_many: Whether the run would have had too many tags. Nothing was changed then.
        gone: Whether there is no such run.
    """

    done: str = ""
    stands: tuple[str, str] | None = None
    too_many: bool = False
    gone: bool = False


def edit(session: Session, run_id: str, actor: str, *, wanted: Edit) -> Edited:
    """Change what people call a run, all of it or nothing, with one event that says so."""
    status = locked_status(session, run_id)
    if status in (None, RunStatus.DELETING):
        return Edited(gone=True)
    row = session.execute(select(Run.name, Run.notes, Run.attempt).where(Run.id == run_id)).one()
    before = {"name": row.name, "notes": row.notes}
    values: dict[str, str] = {}
    for field, change in (("name", wanted.name), ("notes", wanted.notes)):
        if change is None or change.new == before[field]:
            continue
        if change.seen is not None and change.seen != before[field]:
            return Edited(stands=(field, before[field]))
        values[field] = tidy_text(change.new) or ""
    added, removed = _tags(session, run_id, wanted)
    if _num_tags(session, run_id) + len(added) - len(removed) > MOST_TAGS:
        return Edited(too_many=True)
    told = "; ".join(_told(before, values, [*added, *removed]))
    if told:
        assert status is not None
        _write(session, run_id, values=values, added=added, removed=removed)
        note = Note(actor, USER, told)
        record(session, run_id, row.attempt, edge=(status, status), note=note)
    return Edited(done=told)


def _tags(session: Session, run_id: str, wanted: Edit) -> tuple[list[str], list[str]]:
    """Return which tags are new and which go, each with its sign."""
    there = set(session.execute(select(RunTag.tag).where(RunTag.run_id == run_id)).scalars())
    add = dict.fromkeys(map(searchable, wanted.add))
    remove = dict.fromkeys(map(searchable, wanted.remove))
    added = [f"+{tag}" for tag in add if tag not in there and tag not in remove]
    return added, [f"-{tag}" for tag in remove if tag in there]


def _num_tags(session: Session, run_id: str) -> int:
    counted = select(func.count()).select_from(RunTag).where(RunTag.run_id == run_id)
    return session.execute(counted).scalar_one()


def _told(before: dict[str, str], values: dict[str, str], tags: list[str]) -> Iterable[str]:
    if "name" in values:
        yield f"Renamed from '{before['name']}' to '{values['name']}'"
    if tags:
        yield f"Tags {', '.join(tags)}"
    if "notes" in values:
        old = before["notes"]
        cut = old[:LARGEST_QUOTED] + ("..." if len(old) > LARGEST_QUOTED else "")
        yield f"Notes changed, before: {cut}" if old else "Notes written"


def _write(
    session: Session,
    run_id: str,
    *,
    values: dict[str, str],
    added: list[str],
    removed: list[str],
) -> None:
    if values:
        changed = update(Run).where(Run.id == run_id).values(**values)
        session.execute(changed, execution_options=NO_SYNC)
    for tag in added:
        there = dialect_insert(session, RunTag).values(run_id=run_id, tag=tag[1:])
        session.execute(there.on_conflict_do_nothing())
    if removed:
        gone = delete(RunTag).where(
            RunTag.run_id == run_id, RunTag.tag.in_([tag[1:] for tag in removed])
        )
        session.execute(gone)


def save_view(session: Session, name: str, query: str) -> bool:
    """Keep a view under a new name; False: there is one of that name, which stays."""
    new = dialect_insert(session, SavedView).values(name=searchable(name), query=query)
    kept = new.on_conflict_do_nothing().returning(SavedView.name)
    return session.execute(kept).scalar() is not None


def rename_view(session: Session, name: str, new: str) -> bool:
    """Give a view another name; False: it is gone, or there is one of the other name."""
    if session.get(SavedView, searchable(new)) is not None:
        return False
    renamed = update(SavedView).where(SavedView.name == searchable(name))
    statement = renamed.values(name=searchable(new)).returning(SavedView.name)
    return session.execute(statement, execution_options=NO_SYNC).scalar() is not None


def delete_view(session: Session, name: str) -> None:
    session.execute(delete(SavedView).where(SavedView.name == searchable(name)))


def views(session: Session) -> dict[str, str]:
    """Return the saved views in the order of their names: name -> query of the link."""
    found = select(SavedView.name, SavedView.query).order_by(SavedView.name)
    return {row.name: row.query for row in session.execute(found)}
