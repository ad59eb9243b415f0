"""Uncertainty of a share that was counted over n samples."""

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

Floats = npt.NDArray[np.float64]


def wilson(share: npt.ArrayLike, n: npt.ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return the Wilson score interval of each share (Wilson, 1927).

    Args:
        share: Shares of 1; NaN stays NaN.
        n: Samples that each share counts over; 0 gives the interval [0, 1].
        level: Confidence of the two-sided interval.
    """
    p = np.asarray(share, dtype=np.float64)
    size = np.asarray(n, dtype=np.float64)
    z = float(norm.ppf((1 + level) / 2))
    centre = p * size + z**2 / 2
    half = z * np.sqrt(p * (1 - p) * size + z**2 / 4)
    low, high = (centre - half) / (size + z**2), (centre + half) / (size + z**2)
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
