"""``caat messages``: what the broker set aside."""

from typing import Annotated

import typer

from app.cli.options import AsJson
from app.cli.terminal import say_json
from engine.errors import UserError


def messages(
    forget: Annotated[bool, typer.Option(help="Forget them")] = False, as_json: AsJson = False
) -> None:
    """Show the broker's messages that could not be read and were set aside."""
    import redis.exceptions

    from tasks.queue import messages as broker

    try:
        aside = broker.set_aside_messages()
        if forget:
            broker.forget()
    except redis.exceptions.RedisError as error:
        raise UserError("the broker does not answer: `caat doctor` says more") from error
    if as_json:
        return say_json(vars(aside))
    for note in aside.newest:
        typer.echo(note)
    typer.echo(f"{aside.count:,} set aside{' and forgotten' if forget else ''}")
    return None
