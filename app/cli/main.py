"""The ``caat`` command: one line says what went wrong, exit code 2 for the user's mistake.

Each command loads what it needs, so that none waits for the engine, Pandas or Celery in vain.
"""

import contextlib
import errno
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import evaluate, theory
from app.cli import table as table_command
from app.cli.os_errors import explained
from app.cli.terminal import say, say_json
from db.errors import DatabaseError, SettingsError
from engine.errors import UserError
from tasks.processes.process import begin, keep_to_sharing

if TYPE_CHECKING:
    from db.reads.rows import RunDetail
    from db.session import Database

ACTOR = "command line"
UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # typer exports no name for it

cli = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Train image classifiers that are robust and fair.",
)
db_cli = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look after the database.")
cli.add_typer(db_cli, name="db")
theory.register(cli)
cli.command()(evaluate.evaluate)
cli.command()(table_command.table)

File = Annotated[Path, typer.Argument(help="Scenario file (TOML)", show_default=False)]
Set = Annotated[list[str] | None, typer.Option("--set", help="a.b=value, over the file's")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or how it starts")]


def main(*, began: bool = False) -> None:
    """Run the command line; every mistake is one line on stderr.

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
    from tasks.processes.secrecy import hide_in_last_words, hide_in_logs

    hide_in_logs()
    if context.obj:
        hide_in_last_words()
        keep_to_sharing()


@cli.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    workers: Annotated[int, typer.Option(min=0, max=64)] = 1,
    demo: Annotated[bool, typer.Option(help="Queue the demonstration if there is no run")] = True,
) -> None:
    """Start everything on one machine: broker, workers, dashboard; Ctrl-C stops all of it."""
    from app.cli import up as everything

    everything.up(port=port, num_workers=workers, demo=demo)


@cli.command()
def dashboard(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    announce: Annotated[bool, typer.Option(hidden=True)] = True,
) -> None:
    """Start the dashboard alone."""
    from app.server.dashboard import serve_dashboard

    serve_dashboard(port, announce=announce)


@cli.command()
def worker(
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda:N")] = None,
) -> None:
    """Serve queued runs until stopped."""
    from tasks.settings import settings
    from tasks.worker import serve

    if device is not None:
        settings().device = device
    serve.work()


@cli.command()
def run(file: File, set_: Set = None, as_json: AsJson = False) -> None:
    """Train in the foreground, with the same records as a worker's, without a broker."""
    from app.cli import run as foreground
    from app.scenario.toml_in import read_scenario
    from app.text.evaluation_card import threat_of

    scenario = read_scenario(file, set_ or [])
    result = foreground.run(scenario, ACTOR, quiet=as_json)
    if as_json:
        _print_json(result)
    elif result["run_id"]:
        how = f"{result['status']} in {result['seconds']:.1f} s"
        say(f"{result['run_id']} {how}, {result['method']}")
        _print_errors(result["metrics"], threat_of(scenario.as_json()))
    if result["status"] != "succeeded":
        if result["message"]:
            say(f"caat: {result['message']}", err=True)
        raise typer.Exit(1)


@cli.command()
def launch(file: File, set_: Set = None, as_json: AsJson = False) -> None:
    """Queue one run for a worker."""
    from app.scenario.toml_in import read_scenario
    from tasks.queue.submit import UNHEARD, submit

    done = submit(read_scenario(file, set_ or []), actor=ACTOR)
    if as_json:
        _print_json({"run_id": done.run_id})
        return
    typer.echo(done.run_id)
    if not done.rung:
        typer.echo(f"caat: {UNHEARD}", err=True)


@cli.command()
def status(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN]")] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs, or say how one stands."""
    from db.reads import queries
    from tasks.settings import open_database
    from tasks.worker import liveness

    database = open_database()
    with database.read() as session:
        if run_id is not None:
            from tasks import commands

            found = queries.get_run(session, commands.find_run(run_id))
            assert found is not None
            metrics = queries.final_metrics(session, found.id)
            return _show_run(liveness.judged([found], database)[0], metrics, as_json)
        rows = liveness.judged(queries.list_runs(session), database)
    table = [
        {
            "run_id": r.id,
            "status": r.shown_status,
            "epoch": r.epoch,
            "epochs": r.num_epochs,
            "method": r.method,
            "dataset": r.dataset,
            "name": r.name,
        }
        for r in rows
    ]
    if as_json:
        return _print_json({"runs": table})
    for r in rows:
        epochs = f"{r.epoch}/{r.num_epochs}"
        say(f"{r.id}  {r.shown_status:11}  {epochs:8}  {r.method:21}  {r.dataset}  {r.name}")
    return None


def _show_run(run: "RunDetail", metrics: dict[str, Any] | None, as_json: bool) -> None:
    from app.text.evaluation_card import threat_of
    from tasks.worker.liveness import LOST_WORKER

    told = {
        "run_id": run.id,
        "status": run.shown_status,
        "method": run.method,
        "reason": run.reason,
        "message": LOST_WORKER if run.is_lost else run.message,
        "epoch": run.epoch,
        "epochs": run.num_epochs,
        "attempt": run.attempt,
        "evaluation_card": run.evaluation_card,
        "metrics": metrics,
    }
    if as_json:
        return _print_json(told)
    for name in ("run_id", "status", "method", "message", "epoch", "epochs", "attempt"):
        if told[name] is not None:
            say(f"{name:8} {told[name]}")
    return _print_errors(metrics, threat_of(run.scenario, run.evaluation_card))


def _print_errors(metrics: dict[str, Any] | None, threat: str) -> None:
    from app.text.evaluation_card import under_if_attacked

    for name, value in (metrics or {}).items():
        attacked = under_if_attacked(name, threat)
        say(
            f"{name.replace('_', ' '):15} {value['average']:6.1%}   "
            f"worst class {value['worst_class']}: {value['worst']:.1%}{attacked}"
        )


@cli.command()
def stop(run_id: RunId) -> None:
    """Ask a run to stop; what it recorded stays."""
    from tasks import commands

    say(commands.stop(commands.find_run(run_id), ACTOR))


@cli.command()
def resume(run_id: RunId) -> None:
    """Queue a run again that was stopped, failed or interrupted."""
    from tasks import commands

    say(commands.resume(commands.find_run(run_id), ACTOR))


@cli.command()
def delete(
    run_id: RunId,
    leave_files: Annotated[
        bool, typer.Option(help="Forget it now, although its files on other hosts stay there")
    ] = False,
) -> None:
    """Delete an ended run with everything that it recorded."""
    from tasks import commands

    say(commands.delete(commands.find_run(run_id), ACTOR, leave_files=leave_files))


@cli.command()
def export(
    run_id: RunId,
    what: Annotated[
        str, typer.Option(help="metrics, classes, samples, evaluations, model or report")
    ],
    out: Annotated[
        Path, typer.Option(help=".csv, .parquet, .safetensors for a model, .html for a report")
    ],
) -> None:
    """Write a run's records to a file."""
    from tasks import commands
    from tasks.settings import open_database

    if what == "report":
        from app.cli import report as report_command

        return report_command.write(commands.find_run(run_id), out)
    from tasks.results import export as files

    rows = files.export(open_database(), commands.find_run(run_id), what, out)
    say(f"{rows} {'tensors' if what == 'model' else 'rows'} in {out}")
    return None


@cli.command()
def methods(as_json: AsJson = False) -> None:
    """List the training methods and their fields."""
    from engine.methods.base import METHODS

    if as_json:
        return _print_json(
            {config.model_fields["name"].default: config.model_json_schema() for config in METHODS}
        )
    for config in METHODS:
        first = (config.__doc__ or "").strip().splitlines()[0]
        say(f"{config.model_fields['name'].default:22} {first}")
    return None


@cli.command()
def doctor(as_json: AsJson = False) -> None:
    """Check every part of this installation and show the settings in force."""
    from tasks import doctor as health

    findings = health.examine()
    if as_json:
        _print_json({"findings": [finding.as_json() for finding in findings]})
    else:
        for finding in findings:
            say(f"{'ok  ' if finding.ok else 'BAD '} {finding.title:20} {finding.text}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@cli.command("messages")
def messages_command(
    forget: Annotated[bool, typer.Option(help="Forget them")] = False, as_json: AsJson = False
) -> None:
    """Show the broker's messages that could not be read and were set aside."""
    import redis.exceptions

    from tasks.queue import messages

    try:
        aside = messages.set_aside_messages()
        if forget:
            messages.forget()
    except redis.exceptions.RedisError as error:
        raise UserError("the broker does not answer: `caat doctor` says more") from error
    if as_json:
        return _print_json(vars(aside))
    for note in aside.newest:
        typer.echo(note)
    typer.echo(f"{aside.count:,} set aside{' and forgotten' if forget else ''}")
    return None


@db_cli.command("upgrade")
def db_upgrade() -> None:
    """Bring the tables to this version's revision."""
    database = _database()
    database.upgrade()
    typer.echo(f"revision {database.revision()}")


@db_cli.command("check")
def db_check() -> None:
    """Check the revision and, for SQLite, the file's integrity."""
    database = _database()
    database.check_schema()
    problems = database.integrity_problems()
    if problems:
        raise DatabaseError("; ".join(problems))
    say(f"{database.display_url}: revision {database.revision()}, no damage found")


@db_cli.command("backup")
def db_backup(out: Annotated[Path, typer.Option(help="A file that does not exist yet")]) -> None:
    """Copy the SQLite database while it is in use."""
    from tasks.processes.process import mode_of, require_place
    from tasks.settings import open_database

    database = open_database()
    require_place(out)
    database.backup(out, mode_of(out))
    say(str(out))


def _database() -> "Database":
    """Return the database as it is, whatever its revision."""
    from db.session import Database
    from tasks.settings import prepare_data_dir, settings

    prepare_data_dir()
    return Database(settings().database_url)


def _print_json(value: dict[str, Any]) -> None:
    say_json(value)


def console() -> None:
    """Run `main` as a process of its own, and end it at once.

    The threads of Arrow and torch can abort a process that takes its libraries down beside them
    (seen once in twenty exports to Parquet); everything is written and closed by then.
    """
    begin()
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
