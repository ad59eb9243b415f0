"""Which results no other result beats in everything that is asked for.

No tensors: pages may use it without the engine's weight.
"""

import numpy as np
import numpy.typing as npt


def pareto_front(points: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return which points no other dominates, (P,).

    A point dominates another that it equals or exceeds in every quantity and exceeds in one, so
    equal points stand on the front together.

    Args:
        points: (P, Q) values of Q quantities, larger is better; a point with a NaN is never on the
            front and dominates none.
    """
    values = np.atleast_2d(np.asarray(points, dtype=np.float64))
    known = ~np.isnan(values).any(axis=1)
    other, one = values[:, None], values[None]
    dominates = (other >= one).all(axis=2) & (other > one).any(axis=2)
    return np.logical_and(known, ~dominates.any(axis=0))
