"""What a run is called: its name, tags and notes."""

from typing import Annotated

import typer

from app.cli.options import ACTOR, AsJson, RunId
from app.cli.terminal import say, say_json
from engine.errors import UserError


def edit(
    run_id: RunId,
    *,
    name: Annotated[str | None, typer.Option(help="Its new name")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Put on it; may be repeated")] = None,
    untag: Annotated[list[str] | None, typer.Option(help="Taken off; may be repeated")] = None,
    notes: Annotated[str | None, typer.Option(help="Its notes, as Markdown; '' for none")] = None,
    as_json: AsJson = False,
) -> None:
    """Rename a run, put tags on it or take them off, or write its notes."""
    from db.writes.editing import Change, Edit
    from tasks import commands, editing

    if name is None and notes is None and not tag and not untag:
        raise UserError("edit: nothing is given; --name, --tag, --untag or --notes says what")
    wanted = Edit(
        None if name is None else Change(name),
        None if notes is None else Change(notes),
        tuple(tag or ()),
        tuple(untag or ()),
    )
    found = commands.find_run(run_id)
    told = editing.edit_run(found, ACTOR, wanted)
    if as_json:
        return say_json({"run_id": found, "changed": told, "tags": list(editing.tags_on(found))})
    return say(told)
