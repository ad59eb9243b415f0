"""The training engine: pure PyTorch, with no database, broker or web page in sight.

``from engine import Scenario, train``: each name is loaded when it is asked for, so that whoever
only writes scenarios waits for no torch. docs/library.md shows all of them; whoever writes a
method, a dataset, a backbone or an attack finds the rest in `engine.plugins`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import engine.attacks as attacks
    import engine.data.datasets as datasets
    import engine.methods as methods
    import engine.models.backbones as backbones
    from engine.errors import Diverged, UserError
    from engine.library.evaluation import evaluate
    from engine.library.images import Images, load_data
    from engine.library.perturbation import perturb
    from engine.library.report import Report
    from engine.library.training import Trained, train
    from engine.scenario import Scenario

_HOMES = {
    "Diverged": "engine.errors",
    "Images": "engine.library.images",
    "Report": "engine.library.report",
    "Scenario": "engine.scenario",
    "Trained": "engine.library.training",
    "UserError": "engine.errors",
    "evaluate": "engine.library.evaluation",
    "load_data": "engine.library.images",
    "perturb": "engine.library.perturbation",
    "train": "engine.library.training",
}
_MENUS = {
    "attacks": "engine.attacks",
    "backbones": "engine.models.backbones",
    "datasets": "engine.data.datasets",
    "methods": "engine.methods",
}
"""Packages, each with ``names()``."""

__all__ = [
    "Diverged",
    "Images",
    "Report",
    "Scenario",
    "Trained",
    "UserError",
    "attacks",
    "backbones",
    "datasets",
    "evaluate",
    "load_data",
    "methods",
    "perturb",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _MENUS:
        return import_module(_MENUS[name])
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
