"""``caat db``: upgrade, check, backup."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.terminal import say
from db.errors import DatabaseError

if TYPE_CHECKING:
    from db.session import Database

cli = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look after the database.")


@cli.command("upgrade")
def db_upgrade() -> None:
    """Bring the tables to this version's revision."""
    database = _database()
    database.upgrade()
    typer.echo(f"revision {database.revision()}")


@cli.command("check")
def db_check() -> None:
    """Check the revision and, for SQLite, the file's integrity."""
    database = _database()
    database.check_schema()
    problems = database.integrity_problems()
    if problems:
        raise DatabaseError("; ".join(problems))
    say(f"{database.display_url}: revision {database.revision()}, no damage found")


@cli.command("backup")
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
