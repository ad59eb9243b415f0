"""``caat methods``: the training methods, and what a search found for them."""

from typing import Annotated, Literal, TypeAlias

import typer

from app.cli.options import AsJson
from app.cli.terminal import say, say_json

Kind: TypeAlias = Literal["standard", "noise", "imbalance", "both"]
"""As `engine.found.Kind`, which would load the engine for every command."""


def methods(
    found_for: Annotated[
        Kind | None,
        typer.Option("--found", help="The settings that a search found for such data instead"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the training methods and their fields, or what a search found for them."""
    if found_for is not None:
        return _say_found(found_for, as_json=as_json)
    from engine.methods.base import METHODS

    if as_json:
        return say_json(
            {config.model_fields["name"].default: config.model_json_schema() for config in METHODS}
        )
    for config in METHODS:
        first = (config.__doc__ or "").strip().splitlines()[0]
        say(f"{config.model_fields['name'].default:22} {first}")
    return None


def _say_found(kind: Kind, *, as_json: bool) -> None:
    import json

    from engine.found import KINDS, found, methods_found

    entries = [one for method in methods_found(kind) if (one := found(kind, method)) is not None]
    if as_json:
        return say_json({entry.method: vars(entry) for entry in entries})
    for entry in entries:
        told = json.dumps({**entry.fields, "training": entry.training})
        say(f"{entry.method:22} {told}")
        say(f"{'':22} the best of {entry.tried} on {entry.on}")
    return say(f"nothing was searched for {KINDS[kind]}") if not entries else None
