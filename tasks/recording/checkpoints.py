"""Checkpoints as files: written so that a crash at any instant leaves the one before intact."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from db.atomic_write import flush
from db.modes import create
from db.reads.rows import AttemptRow, CheckpointRow
from engine.runtime import versions
from tasks.processes.host import host_name
from tasks.processes.lock_domain import domain_of, files_of

if TYPE_CHECKING:
    from torch import Tensor

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
    folder: Path, epoch: int, attempt: int, *, state: dict[str, Tensor], scenario_digest: str
) -> Written:
    """Write a run's state so that it is wholly there, or not at all.

    Bytes to a temporary file beside it, flush to the disk, rename, flush the folder.

    Raises:
        OSError: The disk is full or failing, and the temporary file is gone again; or the folder
            is gone, as its run was deleted.
    """
    from safetensors.torch import save  # with torch, that only who computes has loaded

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


def delete_unreferenced(folder: Path, attempt: int, kept: Collection[str]) -> None:
    """Delete what no row names: checkpoints that fell out, and what a crash left behind.

    Files of a later attempt stay: a file is there a moment before its row.

    Args:
        folder: Of one run.
        attempt: Who deletes.
        kept: Names of the files that rows name.
    """
    for path in folder.glob("e*-a*-*"):
        if path.name in kept or int(path.name.split("-")[1][1:]) > attempt:
            continue
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s stays for now (%s)", path.name, error)


class Why(StrEnum):
    """Why a checkpoint that a row names cannot be used here."""

    DAMAGED = "damaged"
    MISSING = "missing"
    ELSEWHERE = "elsewhere"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Unusable:
    """A checkpoint that cannot be used here, and why; ``detail`` is the system's word, if any."""

    row: CheckpointRow
    why: Why
    detail: str = ""

    def __str__(self) -> str:
        match self.why:
            case Why.ELSEWHERE:
                what = f"is not on this host but on {self.row.host}"
            case Why.UNREADABLE:
                what = f"cannot be read ({self.detail})"
            case Why.MISSING:
                what = "missing"
            case Why.DAMAGED:
                what = "damaged"
        return f"Epoch {self.row.epoch} checkpoint {what}"


@dataclass(frozen=True)
class Search:
    """What was found of a run's checkpoints.

    Attributes:
        found: Epoch and state of the newest that can be used, or None.
        unusable: Those that are newer, the newest first.
    """

    found: tuple[int, dict[str, Tensor]] | None
    unusable: list[Unusable]

    def remarks(self) -> list[tuple[str, str]]:
        """Say of each that could not be used what follows, as a reason and a message."""
        instead = f"resumed from {self.found[0]}" if self.found else "started again"
        return [(item.why.value, f"{item}, {instead}") for item in self.unusable]

    def why_none(self) -> str:
        """Say why there is none that can be used, and what to do."""
        elsewhere = next((item.row for item in self.unusable if item.why is Why.ELSEWHERE), None)
        if elsewhere is not None:
            place = f", in {elsewhere.data_dir}" if elsewhere.data_dir else ""
            return (
                f"its checkpoints are not on this host but on {elsewhere.host}{place}: "
                "run this command there"
            )
        if self.unusable:
            return "; ".join(map(str, self.unusable)) + ": no checkpoint can be used"
        return "it has no checkpoint yet: train at least one epoch"


def search(data_dir: Path, rows: Sequence[CheckpointRow]) -> Search:
    """Look for the newest checkpoint that can be used.

    Args:
        data_dir: Of this process.
        rows: The newest first.
    """
    from safetensors.torch import load

    unusable: list[Unusable] = []
    for row in rows:
        try:
            content = (data_dir / row.path).read_bytes()
        except FileNotFoundError:
            why = Why.MISSING if is_here(data_dir, row) else Why.ELSEWHERE
            unusable.append(Unusable(row, why))
        except OSError as error:
            unusable.append(Unusable(row, Why.UNREADABLE, error.strerror or str(error)))
        else:
            if hashlib.sha256(content).hexdigest() == row.sha256:
                return Search((row.epoch, load(content)), unusable)
            unusable.append(Unusable(row, Why.DAMAGED))
    return Search(None, unusable)


def kept(
    rows: Sequence[CheckpointRow], attempt: int, start: int, *, keep: int
) -> list[CheckpointRow]:
    """Return which checkpoints stay once an attempt has written one.

    The newest of what this attempt wrote or could have used. A later epoch that it could not use
    may be whole on another host, and stays until it is passed, or room is needed.

    Args:
        rows: The newest first.
        attempt: The one in work.
        start: The epoch that it went on from.
        keep: How many of its own stay; 1 where room is needed.
    """
    usable = [row for row in rows if row.attempt == attempt or row.epoch <= start]
    newest = usable[0].epoch if usable else 0
    later = [row for row in rows if row.epoch > newest] if keep > 1 else []
    return [*later, *usable[:keep]]


def is_here(data_dir: Path, row: CheckpointRow | AttemptRow) -> bool:
    """Tell whether the files of an attempt were written into this data directory."""
    if not row.lock_domain:  # of before revision 0005: its host's name has to do
        return row.host in ("", host_name())
    return files_of(row.lock_domain) == files_of(domain_of(data_dir) or "")


def newest_good(
    data_dir: Path, rows: Sequence[CheckpointRow]
) -> tuple[int, dict[str, Tensor]] | None:
    """Return epoch and state of the newest checkpoint that can be used, or None."""
    return search(data_dir, rows).found
