"""The training engine: pure PyTorch, with no database, broker or web page in sight.

``from engine import Scenario, train``: each name is loaded when it is asked for, so that whoever
only writes scenarios waits for no torch. docs/library.md shows a run in a notebook.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.attacks.base import ATTACKS
    from engine.data.datasets.base import DATASETS
    from engine.data.preparation import Data, prepare
    from engine.errors import Diverged, Stopped, UserError
    from engine.evaluation.evaluate import examine
    from engine.methods.base import METHODS, Method, MethodConfig
    from engine.models.backbones.base import BACKBONES
    from engine.runtime import pick_device
    from engine.scenario import Scenario
    from engine.training.loop import train
    from engine.training.observer import EpochReport, FinalReport, Observer, Progress, RunFacts

_HOMES = {
    "ATTACKS": "engine.attacks.base",
    "BACKBONES": "engine.models.backbones.base",
    "DATASETS": "engine.data.datasets.base",
    "Data": "engine.data.preparation",
    "Diverged": "engine.errors",
    "EpochReport": "engine.training.observer",
    "FinalReport": "engine.training.observer",
    "METHODS": "engine.methods.base",
    "Method": "engine.methods.base",
    "MethodConfig": "engine.methods.base",
    "Observer": "engine.training.observer",
    "Progress": "engine.training.observer",
    "RunFacts": "engine.training.observer",
    "Scenario": "engine.scenario",
    "Stopped": "engine.errors",
    "UserError": "engine.errors",
    "examine": "engine.evaluation.evaluate",
    "pick_device": "engine.runtime",
    "prepare": "engine.data.preparation",
    "train": "engine.training.loop",
}

__all__ = [
    "ATTACKS",
    "BACKBONES",
    "DATASETS",
    "METHODS",
    "Data",
    "Diverged",
    "EpochReport",
    "FinalReport",
    "Method",
    "MethodConfig",
    "Observer",
    "Progress",
    "RunFacts",
    "Scenario",
    "Stopped",
    "UserError",
    "examine",
    "pick_device",
    "prepare",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
