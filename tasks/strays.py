"""Files of known runs that nobody refers to: what a kill between two steps left behind."""

import time
from pathlib import Path

from db import queries
from db.session import Database
from tasks.settings import settings

OLD_SECONDS = 3600.0
"""What is younger may be on its way to a row."""


def sweep_strays(database: Database) -> int:
    """Delete old temporary files and unreferenced checkpoints; return how many.

    Only in folders of runs that this database knows: another one may share the data directory.

    Raises:
        DatabaseError: The database did not answer; nothing more was deleted.
    """
    root = settings().data_dir / "runs"
    deleted = 0
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        suspects = [path for path in _suspects(folder) if _is_old(path)]
        if not suspects:
            continue
        with database.read() as session:
            if queries.get_run(session, folder.name) is None:
                continue
            known = {row.path for row in queries.checkpoints(session, folder.name)}
        for path in suspects:
            if str(path.relative_to(settings().data_dir)) not in known:
                path.unlink(missing_ok=True)
                deleted += 1
    return deleted


def _suspects(folder: Path) -> list[Path]:
    return [*folder.glob("*.tmp"), *folder.glob("e*.safetensors")]


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > OLD_SECONDS
    except OSError:
        return False  # another worker was faster
