"""``caat export``: what a run recorded and learned, as files."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import ACTOR, AsJson, RunId
from app.cli.queued import say_queued
from app.cli.terminal import say
from engine.errors import UserError
from tasks.results.export_request import FORMATS, KINDS, REPORT, SUSPECTS_BY, ExportRequest


def export(  # noqa: PLR0913 - the options of a command
    run_id: RunId,
    *,
    what: Annotated[str, typer.Option(help=f"{', '.join(KINDS)} or {REPORT}")],
    out: Annotated[
        Path | None,
        typer.Option(
            help=".csv or .parquet; for a model .safetensors or .zip, .pt2 for torch-export, "
            ".onnx; .md for a card; .zip for tensorboard, mlflow and wandb; .html for a report"
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help=f"Order of suspects: {', '.join(SUSPECTS_BY)} [default: weight]"),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", help=f"Columns of suspects: {', '.join(FORMATS)}"),
    ] = None,
    queue: Annotated[
        bool, typer.Option("--queue", help="Have a worker do it; `caat status` says where it is")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write what a run recorded or learned to a file."""
    from tasks import commands
    from tasks.settings import open_database

    request = ExportRequest(what, by, format_)
    if queue:
        from tasks import jobs

        ending = jobs.ending_of(out, what)
        found = commands.find_run(run_id)
        done = jobs.submit_export(found, request, ending=ending, actor=ACTOR)
        return say_queued(done, as_json=as_json)
    if out is None:
        raise UserError("--out: no file is given")
    if what == REPORT:
        from app.cli import report as report_command

        return report_command.write(commands.find_run(run_id), out)
    from tasks.results import export as files

    number = files.export(open_database(), commands.find_run(run_id), request, out=out)
    say(f"{number} {request.kind.unit} in {out}")
    return None
