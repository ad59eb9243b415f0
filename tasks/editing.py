"""What people call runs, checked: names, tags, notes, and views of the list that have a name."""

import unicodedata
from collections.abc import Iterable, Sequence

from db.models import SavedView
from db.reads import queries
from db.writes import editing
from db.writes.editing import MOST_TAGS, Change, Edit
from engine.errors import UserError
from engine.names import require_name, visible, visible_lines
from tasks.settings import open_database

LONGEST_NAME, LONGEST_TAG, LONGEST_VIEW = 200, 60, 100
LONGEST_NOTES = 10_000
"""Letters."""


def edit_run(run_id: str, actor: str, wanted: Edit) -> str:
    """Change the name, tags or notes of a run and say what was changed.

    Raises:
        UserError: A value cannot be stored, the run is gone, or somebody else has changed the same
            text meanwhile; nothing was changed.
    """
    checked = _checked(wanted)
    with open_database().write() as session:
        found = editing.edit(session, run_id, actor, wanted=checked)
    if found.gone:
        raise UserError(f"RUN: {run_id} is gone; nothing was changed")
    if found.too_many:
        raise UserError(f"tags: a run has at most {MOST_TAGS}; take some off first")
    if found.stands:
        field, now = found.stands
        shown = visible(now[:200]) + ("..." if len(now) > 200 else "")
        raise UserError(
            f"{field}: somebody changed it meanwhile, to '{shown}'; nothing of yours was saved, "
            "save again to put yours in its place"
        )
    return found.done or "Nothing to change: all of it stood there already"


def tag_runs(
    run_ids: Sequence[str], actor: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()
) -> str:
    """Put tags on runs and take others off, run by run.

    Raises:
        UserError: A tag cannot be stored; nothing was changed.
    """
    wanted = _checked(Edit(add=tuple(add), remove=tuple(remove)))
    changed, full = 0, 0
    for run_id in run_ids:
        with open_database().write() as session:
            found = editing.edit(session, run_id, actor, wanted=wanted)
        changed += bool(found.done)
        full += found.too_many
    left = f"; {full} have {MOST_TAGS} tags already" if full else ""
    return f"{changed} of {len(run_ids)} runs tagged otherwise{left}"


def tag_of(text: str) -> str:
    """Return a tag as it is stored: without space around it, its accents composed.

    Raises:
        UserError: It is empty, too long, or holds what cannot be shown.
    """
    return _name_of(text, "tag", LONGEST_TAG)


def _checked(wanted: Edit) -> Edit:
    name, notes = wanted.name, wanted.notes
    if name is not None:
        name = Change(_name_of(name.new, "name", LONGEST_NAME), name.seen)
    if notes is not None:
        notes = Change(_notes_of(notes.new), notes.seen)
    return Edit(name, notes, tuple(map(tag_of, wanted.add)), tuple(map(_plain, wanted.remove)))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _name_of(text: str, what: str, longest: int) -> str:
    found = _plain(text)
    if not found:
        raise UserError(f"{what}: it is empty; give it a letter")
    if len(found) > longest:
        raise UserError(
            f"{what}: {len(found):,} letters, of which {longest} are stored; shorten it"
        )
    try:
        return require_name(found)
    except ValueError as error:
        raise UserError(f"{what}: {error}") from None


def _notes_of(text: str) -> str:
    found = visible_lines(text.replace("\t", "    ")).rstrip()
    if len(found) > LONGEST_NOTES:
        raise UserError(
            f"notes: {len(found):,} letters, of which {LONGEST_NOTES:,} are stored; shorten them"
        )
    return found


def tags_on(run_id: str) -> tuple[str, ...]:
    """Return the tags of a run."""
    with open_database().read() as session:
        return queries.tags_of(session, [run_id]).get(run_id, ())


def views() -> dict[str, str]:
    """Return the saved views: name -> query of the link."""
    with open_database().read() as session:
        return editing.views(session)


def save_view(name: str, query: str) -> str:
    """Keep what a link says under a name.

    Raises:
        UserError: The name cannot be stored, or another view has it.
    """
    checked = _name_of(name, "view", LONGEST_VIEW)
    with open_database().write() as session:
        if not editing.save_view(session, checked, query):
            raise UserError(f"view: there is one called '{checked}'; choose another name")
    return f"Saved as '{checked}'"


def rename_view(name: str, new: str) -> str:
    """Give a saved view another name.

    Raises:
        UserError: The new name cannot be stored or another view has it, or the view is gone.
    """
    checked = _name_of(new, "view", LONGEST_VIEW)
    with open_database().write() as session:
        if not editing.rename_view(session, name, checked):
            gone = session.get(SavedView, name) is None
            why = f"'{name}' is gone" if gone else f"there is one called '{checked}'"
            raise UserError(f"view: {why}; nothing was changed")
    return f"Now called '{checked}'"


def delete_view(name: str) -> str:
    """Forget a saved view; the runs that it showed stay."""
    with open_database().write() as session:
        editing.delete_view(session, name)
    return f"'{name}' is no saved view any more; its runs stay"
