"""Are `app`, `db`, `engine` and `tasks` ours? Their names are short, and others use them too."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("app", "db", "engine", "tasks")
HERE = Path(__file__).resolve().parents[1]
"""Where this package is, and so where the others have to be."""


def shadowed(names: tuple[str, ...] = PACKAGES) -> Iterator[str]:
    """Say of each package that Python takes from elsewhere, or not at all, in whose way it is."""
    for name in names:
        place = _place(name)
        if place is None:
            yield f"the package {name!r} of CAAT Studio is not in {HERE}: install it again"
        elif place.parent != HERE:
            cure = "rename it, start Python in another folder, or mend PYTHONPATH"
            yield f"another {name!r}, {place}, hides that of CAAT Studio in {HERE}: {cure}"


def require_ours(*names: str) -> None:
    """Refuse to go on with somebody else's package.

    Raises:
        ImportError: It says which one is in the way.
    """
    for told in shadowed(names):
        raise ImportError(told)


def _place(name: str) -> Path | None:
    """Return the folder, or the file, that an import of a name would read; nothing is imported."""
    try:
        found = find_spec(name)
    except ValueError:  # imported already, by somebody who left no trace of where from
        return None
    if found is None:
        return None
    folders = list(found.submodule_search_locations or ())
    place = folders[0] if folders else found.origin
    return None if place is None else Path(place).resolve()
