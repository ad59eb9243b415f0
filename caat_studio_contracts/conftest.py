"""Which plug-ins the contracts bind: all that installed distributions add."""

from typing import Any

import pytest

pytest.register_assert_rewrite(
    *(f"caat_studio_contracts.{name}" for name in ("attacks", "backbones", "datasets", "methods"))
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    from engine.attacks.base import ATTACKS
    from engine.data.datasets.base import DATASETS
    from engine.methods.base import METHODS
    from engine.models.backbones.base import BACKBONES
    from engine.registry import Table

    menus: dict[str, Table[Any]] = {
        "method": METHODS,
        "dataset": DATASETS,
        "backbone": BACKBONES,
        "attack": ATTACKS,
    }
    for kind, menu in menus.items():
        if kind in metafunc.fixturenames:
            kept = [plugin.name for plugin in menu.plugins() if plugin.problem is None]
            metafunc.parametrize(kind, kept)
    if "plugin" in metafunc.fixturenames:
        every = [plugin for menu in menus.values() for plugin in menu.plugins()]
        metafunc.parametrize("plugin", every, ids=[plugin.name for plugin in every])
