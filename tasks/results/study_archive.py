"""Studies as one file: what their finished runs found, to be read elsewhere.

The file is a SQLite database of this program's tables, packed with xz: a later program brings it to
its own revision as it does with any database, so that old files stay readable.
"""

import lzma
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from db import copies, studies
from db.errors import DatabaseError, SchemaNewerError
from db.session import Database
from db.settings import sqlite_url
from engine.errors import UserError
from tasks.processes.process import output_file

LARGEST = 4 * 2**30
"""Bytes that an unpacked file may have."""
_CHUNK = 2**20


@dataclass(frozen=True)
class Copied:
    """What an export or an import led to.

    Attributes:
        studies: Their names.
        copied: Runs that were copied.
        there: Runs that were there already.
    """

    studies: list[str]
    copied: int
    there: int


def export_studies(database: Database, names: Sequence[str], out: Path) -> Copied:
    """Write the finished runs of studies to a file.

    Of each row of a study (a method in a scenario) the run of the lowest seed brings what it kept
    per sample, of its last recorded epoch; the others bring errors, class by class, epoch by epoch,
    what was said of each test image, and their settings.

    Raises:
        UserError: A study has no finished run, or there can be no such file.
        OSError: The file cannot be written.
    """
    with database.read() as source:
        wanted = {name: copies.finished_ids(source, name) for name in names}
        for name, run_ids in wanted.items():
            if not run_ids:
                raise UserError(f"STUDY: no finished run belongs to {name!r}")
        run_ids = list(dict.fromkeys(run_id for ids in wanted.values() for run_id in ids))
        first = set().union(*(copies.lowest_seeds(source, name) for name in names))
        with _scratch() as file, output_file(out) as packed:
            target = Database(sqlite_url(file))
            target.upgrade()
            for run_id in run_ids:
                with target.write() as session:
                    copies.copy_run(
                        source, session, run_id, actor="export", with_samples=run_id in first
                    )
                    copies.copy_cells(source, session, run_id, studies=names)
            home = {run_id: name for name in reversed(names) for run_id in wanted[name]}
            with target.write() as session:
                copies.set_home(session, home)
            target.dispose()
            with lzma.LZMAFile(packed, "wb") as sink, file.open("rb") as whole:
                shutil.copyfileobj(whole, sink, _CHUNK)
    return Copied(list(names), len(run_ids), 0)


def import_studies(database: Database, file: Path, actor: str) -> Copied:
    """Add the runs of such a file that are not here yet, each with its studies' names for it.

    Raises:
        UserError: The file cannot be read, or a later program wrote it; what was copied stays.
    """
    with _unpacked(file) as source, source.read() as there:
        names = [row.name for row in studies.studies(there, limit=100_000)]
        run_ids = list(dict.fromkeys(i for name in names for i in copies.finished_ids(there, name)))
        copied = 0
        for run_id in run_ids:
            with database.write() as session:
                if not copies.known_ids(session, [run_id]):
                    copies.copy_run(there, session, run_id, actor=actor)
                    copied += 1
                copies.copy_cells(there, session, run_id, studies=names)
    return Copied(names, copied, len(run_ids) - copied)


@contextmanager
def _scratch() -> Iterator[Path]:
    """Give the place of a database that is gone at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="caat-study-") as folder:
        yield Path(folder) / "study.db"


@contextmanager
def _unpacked(packed: Path) -> Iterator[Database]:
    """Give the database in a file, brought to this program's revision."""
    with _scratch() as file:
        _unpack(packed, file)
        source = Database(sqlite_url(file))
        try:
            if not _holds_runs(source):
                raise UserError(f"FILE: {packed} holds no studies")
            source.upgrade()
            yield source
        except SchemaNewerError as error:
            raise UserError(f"FILE: {packed} is of a later program: {error}") from None
        finally:
            source.dispose()


def _holds_runs(source: Database) -> bool:
    try:
        return source.revision() is not None and not source.integrity_problems()
    except DatabaseError:  # it is none
        return False


def _unpack(packed: Path, file: Path) -> None:
    try:
        with lzma.open(packed, "rb") as whole, file.open("wb") as sink:
            while part := whole.read(_CHUNK):
                sink.write(part)
                if sink.tell() > LARGEST:
                    raise UserError(f"FILE: {packed} is larger than {LARGEST:,} bytes unpacked")
    except (lzma.LZMAError, EOFError):
        raise UserError(f"FILE: {packed} is no file of `caat study export`") from None
