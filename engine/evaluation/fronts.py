"""Fronts of two errors that a method's settings trade for each other: smaller is better in both.

Equations: with the attained front (x_1, y_1), ..., x rising and y falling, the second error at x is
interpolated between neighbours, is y_K right of the last, and is nothing left of the first, where
no setting is. The hypervolume is the area that the front dominates up to (1, 1) (Zitzler and
Thiele, IEEE Transactions on Evolutionary Computation 1999).
"""

import numpy as np
import numpy.typing as npt

from engine.evaluation.statistics import Floats


def attained(points: npt.ArrayLike) -> Floats:
    """Return the points (P, 2) that no other dominates, x rising and y falling, (K, 2)."""
    values = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    values = values[~np.isnan(values).any(axis=1)]
    ordered = values[np.lexsort((values[:, 1], values[:, 0]))]
    best = np.minimum.accumulate(ordered[:, 1])
    before = np.concatenate([[np.inf], best[:-1]])[: len(best)]
    return ordered[ordered[:, 1] < before]


def at(front: Floats, x: npt.ArrayLike) -> Floats:
    """Return the second error of a front at values of the first; NaN left of the front."""
    wanted = np.asarray(x, dtype=np.float64)
    if not len(front):
        return np.full_like(wanted, np.nan)
    first = front[0, 0]
    wanted = np.where(np.isclose(wanted, first, rtol=0, atol=1e-12), first, wanted)
    return np.interp(wanted, front[:, 0], front[:, 1], left=np.nan)


def hypervolume(front: Floats) -> float:
    """Return the area between a front and (1, 1), 0 to 1."""
    if not len(front):
        return 0.0
    ends = np.append(front[1:, 0], 1.0)
    return float(((ends - front[:, 0]) * (1 - front[:, 1])).sum())
