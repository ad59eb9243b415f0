"""Methods ranked over many settings: Friedman's test and Nemenyi's critical difference.

Source: Demsar, Statistical comparisons of classifiers over multiple data sets, JMLR 2006.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.evaluation.statistics import Floats


@dataclass(frozen=True)
class Ranks:
    """What N settings say of K methods.

    Attributes:
        mean: (K,) average rank of each method, 1 is best; equal errors share the mean of theirs.
        p_value: Of Friedman's test that all methods are alike; NaN for fewer than three methods.
        critical_difference: Two average ranks that differ by less are not told apart (Nemenyi).
        n: N.
    """

    mean: Floats
    p_value: float
    critical_difference: float
    n: int


def ranks(errors: npt.ArrayLike, level: float = 0.05) -> Ranks:
    """Rank methods within each setting, the smallest error first.

    With average ranks over N settings, two of K methods differ beyond chance where their ranks do
    by q sqrt(K (K + 1) / (6 N)), with q the studentised range's quantile over sqrt(2) (Demsar,
    equation 6 and table 5).

    Args:
        errors: (N, K), no NaN.
        level: Chance of telling alike methods apart.

    Raises:
        ValueError: There are not two settings and two methods.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    values = np.asarray(errors, dtype=np.float64)
    n, k = values.shape
    if n < 2 or k < 2:
        raise ValueError(f"{n} settings of {k} methods make no ranking; it takes two of each")
    of_each = rankdata(values, axis=1)
    alike = bool((of_each == of_each[:, :1]).all())
    p_value = float(friedmanchisquare(*values.T).pvalue) if k > 2 and not alike else np.nan
    q = float(studentized_range.ppf(1 - level, k, np.inf)) / np.sqrt(2)
    return Ranks(of_each.mean(axis=0), p_value, q * np.sqrt(k * (k + 1) / (6 * n)), n)


def cliques(mean: Floats, critical_difference: float) -> list[list[int]]:
    """Return the largest sets of methods, best first, within which no two are told apart.

    Args:
        mean: (K,) average ranks.
        critical_difference: Of `ranks`.

    Returns:
        Indices into ``mean`` by rising rank; sets that another holds, and single ones, left out.
    """
    order = [int(place) for place in np.argsort(mean, kind="stable")]
    found: list[list[int]] = []
    for first in range(len(order)):
        near = [m for m in order[first:] if mean[m] - mean[order[first]] <= critical_difference]
        if len(near) > 1 and not (found and set(near) <= set(found[-1])):
            found.append(near)
    return found
