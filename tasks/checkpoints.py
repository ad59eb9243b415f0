"""Checkpoints as files: written so that a crash at any instant leaves the one before intact."""

import hashlib
import json
import logging
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from db.modes import create
from db.rows import CheckpointRow
from engine.runtime import versions
from tasks.folder import flush

FORMAT = 1
KEPT = 2
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Written:
    """A checkpoint that is on the disk.

    Attributes:
        path: The file.
        size: Its bytes.
        sha256: Of all of them.
    """

    path: Path
    size: int
    sha256: str


class NoRoomError(RuntimeError):
    """The disk is full."""

    def __init__(self, needed: int) -> None:
        super().__init__(f"no room for a checkpoint of {needed} bytes")
        self.needed = needed
        """Bytes of what could not be written."""


def write(
    folder: Path, epoch: int, attempt: int, state: dict[str, Tensor], scenario_digest: str
) -> Written:
    """Write a run's state so that it is wholly there, or not at all.

    Bytes to a temporary file beside it, flush to the disk, rename, flush the folder.

    Raises:
        OSError: The disk is full or failing, and the temporary file is gone again; or the folder
            is gone, as its run was deleted.
    """
    about = {"format": FORMAT, "epoch": epoch, "scenario": scenario_digest, "versions": versions()}
    content = save(
        {name: value.detach().cpu().contiguous() for name, value in state.items()},
        # One key: the order of several is not the same in every process.
        {"caat": json.dumps(about, sort_keys=True)},
    )
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / f"e{epoch:06d}-a{attempt:02d}-{sha256[:8]}.safetensors"
    temporary = path.with_suffix(".tmp")
    try:
        create(temporary)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    flush(folder)
    return Written(path, len(content), sha256)


def sweep(folder: Path, attempt: int, kept: Collection[str]) -> None:
    """Delete what no row names: checkpoints that fell out, and what a crash left behind.

    Files of a later attempt stay: a file is there a moment before its row.

    Args:
        folder: Of one run.
        attempt: Who sweeps.
        kept: Names of the files that rows name.
    """
    for path in folder.glob("e*-a*-*"):
        if path.name in kept or int(path.name.split("-")[1][1:]) > attempt:
            continue
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s stays for now (%s)", path.name, error)


def damaged(epoch: int, resumed: int) -> str:
    """Say that a checkpoint could not be used, and from which epoch the run goes on instead."""
    instead = f"resumed from {resumed}" if resumed else "started again"
    return f"Epoch {epoch} checkpoint damaged, {instead}"


def newest_good(data_dir: Path, rows: list[CheckpointRow]) -> tuple[int, dict[str, Tensor]] | None:
    """Return epoch and state of the newest checkpoint that is undamaged, or None."""
    for row in rows:
        path = data_dir / row.path
        try:
            content = path.read_bytes()
        except OSError as error:
            log.warning("Checkpoint of epoch %d cannot be read (%s)", row.epoch, error)
            continue
        if hashlib.sha256(content).hexdigest() == row.sha256:
            return row.epoch, load(content)
        log.warning("Checkpoint of epoch %d is damaged; trying the one before", row.epoch)
    return None
