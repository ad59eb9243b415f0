"""A zip that is written whole or not at all: what a tracker or a loader reads, as one file."""

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from tasks.processes.process import output_file


def write_zip(out: Path, parts: Mapping[str, bytes]) -> None:
    """Write files by their paths inside.

    Raises:
        OSError: It cannot be written; the earlier one, if any, is as it was.
    """
    with output_file(out) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def files_of(folder: Path, wanted: Iterable[Path] | None = None) -> dict[str, bytes]:
    """Return the files of a folder, or those that are wanted, by their paths in it."""
    found = folder.rglob("*") if wanted is None else wanted
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(found)
        if path.is_file() and not path.is_symlink()
    }
