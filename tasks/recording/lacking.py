"""What a stored run needs of the installation that trains it, and what of it is not here."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.data.datasets.base import DATASETS, datasets
from engine.errors import UserError
from engine.methods.base import METHODS
from engine.models.backbones.base import BACKBONES
from tasks.processes.host import host_name

LACKS = "lacks"
"""The reason of a run whose method, dataset or backbone this machine does not know."""


class LackingError(UserError):
    """The run cannot be trained by this installation, and by another one it can."""


def require_known(stored: Mapping[str, Any], facts: Mapping[str, Any] | None) -> None:
    """Refuse a stored scenario that names a plug-in which is not here: nothing is wrong with it.

    Args:
        stored: The scenario, as its run has it.
        facts: Of the run, if an attempt has begun; they name the plug-ins that it was begun with.

    Raises:
        LackingError: It says what is missing, and where to install it.
    """
    missing = list(_missing(stored))
    if not missing:
        return
    begun = (facts or {}).get("plugins") or {}
    which = ", ".join(f"{name}=={version}" for name, version in begun.items())
    cure = f"pip install {which}" if which else "install the plug-in that has it"
    if not which and all(line.startswith("dataset ") for line in missing):
        cure += ", or add it by `caat data add`,"
    raise LackingError(f"{host_name()} has no {' and no '.join(missing)}: {cure} there, and resume")


def _missing(stored: Mapping[str, Any]) -> Iterator[str]:
    menus = (
        ("dataset", ("data", "dataset"), datasets, DATASETS),
        ("method", ("method", "name"), METHODS.names, METHODS),
        ("backbone", ("model", "name"), BACKBONES.names, BACKBONES),
    )
    for kind, (table, field), known, menu in menus:
        name = (stored.get(table) or {}).get(field)
        if name is not None and name not in known():
            broken = (plugin for plugin in menu.plugins() if plugin.problem is not None)
            why = "; ".join(f"{plugin.distribution}: {plugin.problem}" for plugin in broken)
            yield f"{kind} {name!r}" + (f" ({why})" if why else "")
