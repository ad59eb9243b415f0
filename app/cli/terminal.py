"""What a command prints: one line each, whatever is in it."""

from typing import Any

import typer

from tasks.escaping import for_json, for_terminal


def say(line: str, *, err: bool = False) -> None:
    """Print one line; what a terminal would obey is written out."""
    typer.echo(for_terminal(line), err=err)


def say_json(value: Any) -> None:
    """Print one JSON object."""
    typer.echo(for_json(value))
