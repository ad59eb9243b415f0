"""The way to a session: short transactions, to read or to write."""

import contextlib
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.orm import Session

from db import migrate
from db.connection import READS, parse_url, postgresql_engine, sqlite_reader, sqlite_writer
from db.errors import (
    DatabaseBusyError,
    DatabaseError,
    DatabaseFullError,
    DatabaseUnreachableError,
    SchemaMismatchError,
)
from db.modes import PRIVATE_FILE
from db.urls import display_url, redact, split

_HINTS = {
    "unsupported startup parameter: options": (
        ": the pooler takes no ?options= in CAAT_DATABASE_URL; take it out, or set "
        "ignore_startup_parameters = options in PgBouncer"
    ),
    "not allowed in statement pooling mode": (
        ": set pool_mode = transaction or session in PgBouncer"
    ),
    "in a read-only transaction": (": it takes no changes now, as a standby does until it leads"),
}
"""What to do about an error of the server or of a pooler before it, by words that it says."""


class Database:
    """One database; make it once a process and share it between threads.

    Attributes:
        had_tables: Whether it had tables when its revision was last read.
        fitted_at: When this process last found that its tables fit this program, by
            ``time.monotonic``.
    """

    def __init__(self, url: str) -> None:
        self.had_tables, self.fitted_at = False, -math.inf
        self.url = parse_url(url)
        self._given_url = url
        self.display_url = display_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self._writer = sqlite_writer(self.url)
            self._reader = sqlite_reader(self.url)
        else:
            self._writer = postgresql_engine(self.url)
            self._reader = self._writer.execution_options(**{READS: True})

    def __repr__(self) -> str:
        return f"Database({self.display_url!r})"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that only reads; keep it short."""
        with self._explained(), _opened(self._reader) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session whose changes are committed at the end, or all undone by an error."""
        with self._explained(), _opened(self._writer) as session:
            session.info["writes"] = True
            yield session
            session.commit()

    def upgrade(self) -> None:
        """Bring the tables to the newest revision; safe to call from many processes at once."""
        with self._explained():
            migrate.upgrade(self.url.render_as_string(hide_password=False))

    def revision(self) -> str | None:
        """Return the revision of the tables, or nothing if there are none."""
        if self.is_sqlite and not self._file.exists():
            return None
        with self._explained(), self._reader.connect() as connection:
            if self.had_tables:  # most likely they are still there: one statement less
                with contextlib.suppress(OperationalError, ProgrammingError):
                    return connection.execute(migrate.REVISION).scalar_one_or_none()
                connection.rollback()
            revision = migrate.current_revision(connection)
        self.had_tables = revision is not None
        return revision

    def head_revision(self) -> str:
        """Return the revision that this program needs."""
        return migrate.head_revision()

    def check_schema(self, revision: str | None = None) -> None:
        """Refuse, with what to do, tables older or newer than this program.

        Args:
            revision: Theirs, if it was read just now.
        """
        self.fitted_at = -math.inf
        migrate.check_revision(revision or self.revision())
        self.fitted_at = time.monotonic()

    def integrity_problems(self) -> list[str]:
        """Return what is broken in a SQLite file; PostgreSQL looks after itself."""
        if not self.is_sqlite:
            return []
        with self.read() as session:
            found = list(session.execute(text("PRAGMA integrity_check")).scalars())
        return [] if found == ["ok"] else found

    def backup(self, target: Path, mode: int = PRIVATE_FILE) -> None:
        """Copy a SQLite database, in use or not, to a file that does not exist yet.

        Raises:
            DatabaseError: It cannot be copied, or the file is there.
        """
        if not self.is_sqlite:
            raise DatabaseError("back up a PostgreSQL database with its own pg_dump")
        if target.exists():
            raise DatabaseError(f"{target} exists already: name another file")
        self.check_schema()
        with self._explained():
            migrate.backup_sqlite(self._writer, target, mode)

    def dispose(self) -> None:
        """Close every connection."""
        self._reader.dispose()
        self._writer.dispose()

    @property
    def _file(self) -> Path:
        return Path(self.url.database or "")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn a driver's error about the database itself into one line."""
        try:
            yield
        except (IntegrityError, DataError):
            raise  # about the rows, not the database
        except DBAPIError as error:
            raise self._explanation(error) from error

    def _explanation(self, error: DBAPIError) -> DatabaseError:
        told = self._first_line(error)
        if "no such table" in told or type(error.orig).__name__ == "UndefinedTable":
            return SchemaMismatchError(
                f"the database lacks a table ({told}): run `caat db upgrade`"
            )
        if "is locked" in told or type(error.orig).__name__ in (
            "QueryCanceled",
            "LockNotAvailable",
            "DeadlockDetected",
            "SerializationFailure",
        ):
            return DatabaseBusyError(f"the database {self.display_url} is busy: {told}")
        if "disk is full" in told or type(error.orig).__name__ == "DiskFull":
            return DatabaseFullError(
                f"no room for the database {self.display_url} ({told}): free some space"
            )
        hint = next((hint for sign, hint in _HINTS.items() if sign in told), "")
        if (
            hint
            or isinstance(error, OperationalError | InterfaceError)
            or error.connection_invalidated
        ):
            told += hint
            return DatabaseUnreachableError(f"cannot use the database {self.display_url}: {told}")
        return DatabaseError(f"the database {self.display_url} refused: {told}")

    def _first_line(self, error: DBAPIError) -> str:
        told = " ".join(str(error.orig).split("\n")[0].split())
        return told if self.is_sqlite else redact(told, split(self._given_url).secrets)


@contextmanager
def _opened(engine: Engine) -> Iterator[Session]:
    with Session(engine, expire_on_commit=False) as session:
        session.connection()  # begins now, so that what is unreachable is told here
        yield session
