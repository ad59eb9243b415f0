"""``caat import``: its options, and what it says."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import ACTOR
from app.cli.terminal import say, say_json

File = Annotated[Path, typer.Argument(metavar="PREDICTIONS", help=".csv, .npz or .parquet")]


def import_predictions(  # noqa: PLR0913 - one a command-line option
    file: File,
    *,
    by: Annotated[str, typer.Option(help="Who measured them: 'tool x 1.2'")],
    data: Annotated[str, typer.Option(help="The data; ours have names for their classes")] = "",
    epsilon: Annotated[str | None, typer.Option(help="Radius of the attack, like 8/255")] = None,
    norm: Annotated[str | None, typer.Option(help="linf or l2")] = None,
    attack: Annotated[str, typer.Option(help="What the attack is called")] = "",
    name: Annotated[str, typer.Option(help="What the row is called")] = "",
    study: Annotated[str | None, typer.Option(help="A study that has it")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout")] = False,
) -> None:
    """Take in predictions of another tool: columns label, clean, and attacked or attacked_NAME."""
    from app.cli import runs
    from app.text.evaluation_card import threat_of
    from db.reads import queries
    from tasks.imports import ImportRequest, take_in
    from tasks.settings import open_database

    request = ImportRequest(
        file=file.expanduser(),
        by=by,
        data=data,
        epsilon=epsilon,
        norm=norm,
        attack=attack,
        name=name,
        study=study,
    )
    run_id = take_in(request, actor=ACTOR)
    with open_database().read() as session:
        run, metrics = queries.get_run(session, run_id), queries.final_metrics(session, run_id)
    card = run.evaluation_card if run else None
    if as_json:
        return say_json({"run_id": run_id, "evaluation_card": card, "metrics": metrics})
    say(run_id)
    runs.print_errors(metrics, threat_of({}, card))
    return say(f"measured by {by}, not here")
