"""Curves as TensorBoard event files, written by TensorBoard's own writer.

Format: records of ``tensorboard.compat.proto.event_pb2.Event``, each with its length and checksums
(tensorflow.org/tensorboard). Unpacked, ``tensorboard --logdir FOLDER`` shows them; ``wandb sync
FOLDER`` takes them too.
"""

import tempfile
from pathlib import Path

from db.session import Database
from tasks.escaping import as_file_name
from tasks.results.curves import Curves, curves
from tasks.results.zip_file import files_of, write_zip


def write(database: Database, run_id: str, out: Path) -> int:
    """Write a zip of one folder of event files; return how many values are in it."""
    found = curves(database, run_id)
    with tempfile.TemporaryDirectory(prefix="caat-") as place:
        folder = Path(place) / f"{as_file_name(found.title, 'x')[:-2]}-{run_id[:8]}"
        _write_events(found, folder)
        parts = files_of(Path(place))
        write_zip(out, {_without_host(name): content for name, content in parts.items()})
    return len(found.points)


def _without_host(name: str) -> str:
    """Return a file's name without the host and the process that it ends with."""
    folder, _, file = name.rpartition("/")
    return f"{folder}/{'.'.join(file.split('.')[:4])}"


def _write_events(found: Curves, folder: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    settings = "\n".join(f"    {name} = {value}" for name, value in found.settings.items())
    with SummaryWriter(str(folder)) as writer:
        writer.add_text("scenario", settings, 0, walltime=found.when)
        for point in found.points:
            writer.add_scalar(point.tag, point.value, point.step, walltime=found.when)
