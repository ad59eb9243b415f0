"""Torchvision's own models, also where its compiled part was built for another torch.

Its Python code asks for two operators of object detection as it is read, which no classifier uses.
Where the compiled part cannot be loaded they are declared, without a body: the architectures that
are then built are torchvision's own, to the last line.
"""

import importlib
import sys
from typing import Any

import torch

_OPERATORS = ("nms", "qnms")
_DECLARED: list[Any] = []
_WHAT = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def torchvision_models() -> Any:
    """Return the module ``torchvision.models``."""
    try:
        return importlib.import_module("torchvision.models")
    except (RuntimeError, AttributeError, ImportError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    if not _DECLARED:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in _OPERATORS:
            library.define(name + _WHAT)
        _DECLARED.append(library)
    return importlib.import_module("torchvision.models")
