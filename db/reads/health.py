"""What a database says of itself: its program's version and its size."""

from sqlalchemy import text

from db.session import Database


def version(database: Database) -> str:
    """Return the database's program and its version: ``SQLite 3.46.1``."""
    statement = "SELECT sqlite_version()" if database.is_sqlite else "SHOW server_version"
    with database.read() as session:
        number = session.execute(text(statement)).scalar_one()
    return f"{'SQLite' if database.is_sqlite else 'PostgreSQL'} {str(number).split()[0]}"


def size(database: Database) -> int:
    """Return the bytes that the database takes; of SQLite without what its journal still holds."""
    pages = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    statement = pages if database.is_sqlite else "SELECT pg_database_size(current_database())"
    with database.read() as session:
        return int(session.execute(text(statement)).scalar_one())
