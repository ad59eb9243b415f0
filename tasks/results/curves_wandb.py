"""Curves as an offline run of Weights & Biases, written by its own library.

Its files have no documented format; ``wandb sync FOLDER`` uploads what its offline mode has written
(docs.wandb.ai, "wandb sync"). Nothing here talks to a server, and neither host, program, code nor
installed packages are recorded.
"""

import tempfile
from collections import defaultdict
from pathlib import Path
from threading import Lock

from db.session import Database
from tasks.results.curves import Curves, curves
from tasks.results.zip_file import files_of, write_zip

PROJECT = "caat-studio"
_ONE_AT_A_TIME = Lock()
"""The library keeps one service a process."""


def write(database: Database, run_id: str, out: Path) -> int:
    """Write a zip of a folder ``wandb``; return how many values are in it."""
    found = curves(database, run_id)
    with _ONE_AT_A_TIME, tempfile.TemporaryDirectory(prefix="caat-") as place:
        folder = Path(place)
        _write_run(found, folder)
        write_zip(out, files_of(folder, folder.rglob("*.wandb")))
    return len(found.points)


def _write_run(found: Curves, folder: Path) -> None:
    import wandb

    private = wandb.Settings(
        mode="offline",
        root_dir=str(folder),
        console="off",
        silent=True,
        save_code=False,
        disable_git=True,
        disable_code=True,
        host="",
        x_disable_stats=True,
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
    )
    run = wandb.init(
        project=PROJECT,
        id=found.run.id,
        name=found.title,
        config=found.settings,
        settings=private,
    )
    try:
        for step, values in sorted(_by_step(found).items()):
            run.log(values, step=step)
    finally:
        run.finish()
        wandb.teardown()


def _by_step(found: Curves) -> dict[int, dict[str, float]]:
    rows: dict[int, dict[str, float]] = defaultdict(dict)
    for point in found.points:
        rows[point.step] |= {point.tag: point.value, "epoch": point.epoch}
    return rows
