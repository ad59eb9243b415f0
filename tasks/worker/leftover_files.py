"""Files of known runs that nobody refers to: what a kill between two steps left behind."""

import time
from pathlib import Path

from db.models import HELD
from db.reads import queries
from db.session import Database
from tasks.processes import lock
from tasks.settings import settings

OLD_SECONDS = 3600.0
"""What is younger may be on its way to a row."""


def delete_leftover_files(database: Database) -> int:
    """Delete old temporary files and unreferenced checkpoints; return how many.

    Only in folders of runs that this database knows, as another one may share the data directory;
    and never of a run at work: what its trainer writes is only as old as this process's clock says.

    Raises:
        DatabaseError: The database did not answer; nothing more was deleted.
    """
    root = settings().data_dir / "runs"
    deleted = 0
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        suspects = [path for path in _suspects(folder) if _is_old(path)]
        if not suspects:
            continue
        with lock.held(folder) as mine:
            deleted += _delete(database, folder.name, suspects) if mine else 0
    return deleted


def _delete(database: Database, run_id: str, suspects: list[Path]) -> int:
    with database.read() as session:
        run = queries.get_run(session, run_id)
        known = {row.path for row in queries.checkpoints(session, run_id)}
    if run is None or run.status in HELD:
        return 0
    root = settings().data_dir
    leftovers = [path for path in suspects if str(path.relative_to(root)) not in known]
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)


def _suspects(folder: Path) -> list[Path]:
    return [*folder.glob("*.tmp"), *folder.glob("e*.safetensors")]


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > OLD_SECONDS
    except OSError:
        return False  # another worker was faster
