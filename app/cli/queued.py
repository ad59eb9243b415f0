"""What a command says of what it has queued."""

from typing import TYPE_CHECKING

import typer

from app.cli.terminal import say_json

if TYPE_CHECKING:
    from tasks.queue.submit import Submitted


def say_queued(done: "Submitted", *, as_json: bool) -> None:
    """Print the id, and whether the broker was told."""
    from tasks.queue.submit import NOT_SENT

    if as_json:
        return say_json({"run_id": done.run_id})
    typer.echo(done.run_id)
    if not done.sent:
        typer.echo(f"caat: {NOT_SENT}", err=True)
    return None
