"""The modes of files and folders."""

import stat
from pathlib import Path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def modes_below(top: Path) -> tuple[dict[Path, int], dict[Path, int]]:
    """Return the modes of all folders, this one too, and of all files."""
    found = {path: path.lstat().st_mode for path in [top, *top.rglob("*")]}
    folders = {path: stat.S_IMODE(bits) for path, bits in found.items() if stat.S_ISDIR(bits)}
    return folders, {p: stat.S_IMODE(bits) for p, bits in found.items() if p not in folders}
