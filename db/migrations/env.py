"""How Alembic reaches the database: by the caller's connection, else by the settings."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection, DefaultClause

from db.connection import migration_engine, parse_url
from db.models import Base
from db.settings import DatabaseSettings
from db.types import UtcDateTime, db_now


def render_item(kind: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    """Write this project's own types into a new migration by their names."""
    if kind == "type" and isinstance(item, UtcDateTime):
        autogen_context.imports.add("from db.types import UtcDateTime")
        return "UtcDateTime()"
    if (
        kind == "server_default"
        and isinstance(item, DefaultClause)
        and isinstance(item.arg, db_now)
    ):
        autogen_context.imports.add("from db.types import db_now")
        return "db_now()"
    return False


def migrate(connection: Connection) -> None:
    """Run the migrations in one transaction, which SQLite's DDL allows too."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=render_item,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:  # `alembic revision --autogenerate` at a developer's prompt
    with migration_engine(parse_url(DatabaseSettings().database_url)).begin() as own:
        migrate(own)
