"""Errors as the commands print them: overall, by class, with their spread and intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.evaluation.statistics import class_counts, errors_by_class, spread, wilson


def metrics_in_full(
    said: Mapping[str, npt.NDArray[np.int64]], class_names: Sequence[str]
) -> dict[str, Any]:
    """Return what ``caat run --json`` prints of a run, and the spread and intervals beside.

    Args:
        said: ``label``, ``clean`` and ``attacked`` of each image, (N,).
        class_names: C names.
    """
    size = len(class_names)
    count = class_counts(said["label"], size)
    wrong = errors_by_class(said["label"], said["clean"], said["attacked"], num_classes=size)
    return {name: _in_full(counts, count, class_names) for name, counts in wrong.items()}


def _in_full(
    wrong: npt.NDArray[np.int64], count: npt.NDArray[np.int64], class_names: Sequence[str]
) -> dict[str, Any]:
    found = spread(wrong, count)
    share = wrong / np.maximum(count, 1)
    low, high = wilson(share, count)
    per_class = [
        {
            "class": name,
            "value": float(share[index]) if count[index] else None,
            "low": float(low[index]),
            "high": float(high[index]),
            "n": int(count[index]),
        }
        for index, name in enumerate(class_names)
    ]
    worst = found.worst_class
    return asdict(found) | {
        "worst_class": class_names[worst],
        "worst_interval": [per_class[worst]["low"], per_class[worst]["high"]],
        "per_class": per_class,
    }
