"""The ``caat`` command: one line says what went wrong, exit code 2 for the user's mistake.

Each command loads what it needs, so that none waits for the engine, Pandas or Celery in vain.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from app.cli import (
    audit,
    data,
    database,
    edit,
    evaluate,
    export,
    health,
    messages,
    methods,
    runs,
    study,
    theory,
    watch,
)
from app.cli import figure as figure_command
from app.cli import table as table_command
from app.cli.options import ACTOR, AsJson, File, Set
from app.cli.os_errors import explained
from app.cli.terminal import say, say_json
from db.errors import DatabaseError, SettingsError
from engine.errors import UserError
from tasks.processes.process import apply_shared_umask, init_process

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # typer exports no name for it

cli = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Train image classifiers that are robust and fair.",
)


def main(*, began: bool = False) -> NoReturn:
    """Run the command line and end the process; every mistake is one line on stderr.

    Args:
        began: Whether the process is the command's own, and `begin` was called in it.
    """
    try:
        code = cli(standalone_mode=False, obj=began)
    except typer.Exit as end:
        code = end.exit_code
    except typer.Abort:
        code = 130
    except (UserError, UsageError, SettingsError) as error:
        _complain(error)
        code = 2
    except DatabaseError as error:
        _complain(error)
        code = 1
    except Exception as error:
        if os.environ.get("CAAT_DEBUG"):
            raise
        code = _say_what_failed(error)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code or 0)


def _say_what_failed(error: Exception) -> int:
    """Tell an error that no mistake and no database has caused; return the exit code."""
    known = explained(error) if isinstance(error, OSError) else None
    if known is None:
        _complain(error, f"unexpected {type(error).__name__}: ", "; CAAT_DEBUG=1 shows where")
        return 1
    line, code = known
    _complain(OSError(line))
    return code


def _complain(error: Exception, before: str = "", after: str = "") -> None:
    # A usage error says where it is only when it is asked for its whole message.
    text = str(getattr(error, "format_message", error.__str__)())
    if before:  # unexpected: whatever a library says
        from tasks.processes.secrecy import without_secrets

        text = without_secrets(text)
    if isinstance(error, UsageError):
        text = " ".join(text.split())
    with contextlib.suppress(OSError):  # nobody listens; the exit code says that it failed
        for line in text.split("\n"):
            say(f"caat: {before}{line.rstrip()}{after}", err=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"caat {version('caat-studio')}")
        raise typer.Exit


@cli.callback()
def _root(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    from tasks.processes.secrecy import hide_in_logs, hide_in_tracebacks

    hide_in_logs()
    if context.obj:
        hide_in_tracebacks()
        apply_shared_umask()


@cli.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    workers: Annotated[int, typer.Option(min=0, max=64)] = 1,
    demo: Annotated[bool, typer.Option(help="Queue the demonstration if there is no run")] = True,
    *,
    demo_results: Annotated[
        bool, typer.Option("--demo-results", help="Add finished studies to look at")
    ] = False,
) -> None:
    """Start everything on one machine: broker, workers, dashboard; Ctrl-C stops all of it."""
    from app.cli import up as everything

    everything.up(
        port=port, num_workers=workers, demo=demo, demo_results=demo_results, as_caat=_as_caat
    )


def _as_caat(*words: str) -> Callable[[], NoReturn]:
    """Return what runs another command in this process, and ends it."""

    def run_it() -> NoReturn:
        sys.argv = [sys.argv[0], *words]
        main(began=True)

    return run_it


@cli.command()
def dashboard(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    announce: Annotated[bool, typer.Option(hidden=True)] = True,
    until: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Start the dashboard alone."""
    from app.server.dashboard import serve_dashboard

    serve_dashboard(port, announce=announce, until=until)


@cli.command()
def worker(
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda:N")] = None,
    devices: Annotated[
        str | None,
        typer.Option(help="all, or cuda:0,cuda:1,cpu: a worker on each, restarted when it dies"),
    ] = None,
    queues: Annotated[
        str | None, typer.Option(help="With commas; default and cpu or gpu if left out")
    ] = None,
    *,
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="End once no run waits that it may take")
    ] = False,
) -> None:
    """Serve queued runs until stopped."""
    from tasks.queue_names import parse_queues
    from tasks.settings import settings

    if devices is not None:
        from app.cli import workers

        if device is not None:
            raise UserError("--devices: it names them all; leave --device out")
        options = [] if queues is None else ["--queues", ",".join(parse_queues(queues))]
        options += ["--until-empty"] if until_empty else []
        return workers.serve(workers.named(devices), options=options)
    chosen = settings()
    if device is not None:
        chosen.device = device
    if queues is not None:
        chosen.queues = ",".join(parse_queues(queues))
    from tasks import serve  # Celery reads the settings as it is loaded

    serve.work(until_empty=until_empty)
    return None


@cli.command()
def run(file: File, set_: Set = None, as_json: AsJson = False) -> None:
    """Train in the foreground, with the same records as a worker's, without a broker."""
    from app.cli import run as foreground
    from app.scenario.toml_in import read_scenario
    from app.text.evaluation_card import threat_of
    from tasks.queue.submit import new_run

    scenario = read_scenario(file, set_ or [])
    result = foreground.run(lambda: new_run(scenario), ACTOR, quiet=as_json)
    if as_json:
        say_json(result)
    elif result["run_id"]:
        how = f"{result['status']} in {result['seconds']:.1f} s"
        say(f"{result['run_id']} {how}, {result['method']}")
        runs.print_errors(result["metrics"], threat_of(scenario.as_json()))
    if result["status"] != "succeeded":
        if result["message"]:
            say(f"caat: {result['message']}", err=True)
        raise typer.Exit(1)


for command in (
    runs.launch,
    runs.status,
    runs.stop,
    runs.resume,
    runs.place,
    runs.delete,
    export.export,
):
    cli.command()(command)
cli.command()(edit.edit)
cli.command()(evaluate.evaluate)
audit.register(cli)
cli.command()(health.health)
cli.command()(watch.metrics)
cli.command()(watch.top)
cli.command()(table_command.table)
cli.command()(figure_command.figure)
cli.command()(methods.methods)
cli.command()(messages.messages)


@cli.command()
def doctor(as_json: AsJson = False) -> None:
    """Check every part of this installation and show the settings in force."""
    from tasks import doctor as health

    findings = health.examine()
    if as_json:
        say_json({"findings": [finding.as_json() for finding in findings]})
    else:
        for finding in findings:
            say(f"{'ok  ' if finding.ok else 'BAD '} {finding.title:20} {finding.text}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


theory.register(cli)
cli.add_typer(study.cli, name="study")
cli.add_typer(data.cli, name="data")
cli.add_typer(database.cli, name="db")


def console() -> None:
    """Run `main` as a process of its own, and end it at once.

    The threads of Arrow and torch can abort a process that takes its libraries down beside them
    (seen once in twenty exports to Parquet); everything is written and closed by then.
    """
    init_process()
    try:
        main(began=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        os._exit(_written_out(code))


def _written_out(code: int) -> int:
    """Write what is still in the buffers; return the exit code, which says if that failed."""
    try:
        for output in (sys.stdout, sys.stderr):
            if output is not None:  # closed by whoever started us
                output.flush()
    except OSError as error:
        return code or (1 if error.errno == errno.EPIPE else _say_what_failed(error))
    return code


if __name__ == "__main__":
    console()
