"""Torch, loaded at its first use: loading takes seconds, and most processes never compute.

A file that a scenario is validated with (the configuration of a method, a dataset, a backbone or an
attack) says ``from engine.lazy import torch`` and computes as if it had imported it; annotations
are text there (``from __future__ import annotations``). What needs torch as soon as it is read,
such as a subclass of ``nn.Module``, stands in a file of its own, imported where it is built.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import nn
else:

    class Lazy(ModuleType):
        """Stands for a module, which the first look at one of its names loads.

        Each name is asked for once: it is computed with in inner loops.
        """

        def __getattr__(self, name: str) -> Any:
            value = getattr(import_module(self.__name__), name)
            setattr(self, name, value)
            return value

    torch, nn, F = Lazy("torch"), Lazy("torch.nn"), Lazy("torch.nn.functional")

__all__ = ["F", "nn", "torch"]
