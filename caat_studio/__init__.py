"""CAAT Studio as a library, under a name that nothing else has: what `engine` gives.

``from caat_studio import Scenario, train`` is ``from engine import Scenario, train``. Each name is
loaded when it is asked for. Plug-ins import from `caat_studio.plugins`.
"""

from typing import TYPE_CHECKING, Any

from caat_studio.place import require_ours

if TYPE_CHECKING:
    from engine import (
        Diverged,
        Images,
        Report,
        Scenario,
        Trained,
        UserError,
        attacks,
        backbones,
        datasets,
        evaluate,
        load_data,
        methods,
        perturb,
        train,
    )

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
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_ours("engine")
    import engine

    return getattr(engine, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
