"""What held-out data say of each class: means of a loss, and means that few samples are behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field

from engine.config import Younger
from engine.evaluation.class_errors import ClassErrors
from engine.lazy import torch
from engine.types import Batch, DeviceImages, one_hot

if TYPE_CHECKING:
    from torch import Tensor

PerSample: TypeAlias = "Callable[[Batch], Tensor]"
"""From a batch to a value of each sample, (B,)."""
Shrink = Annotated[
    bool,
    Younger(),
    Field(
        description="Pull what a class's few validation images say of it towards the mean of the "
        "classes, by its sampling error (empirical Bayes)",
    ),
]
"""A field: whether prices read class means as they are, or `shrunk`."""
AT_A_TIME = 256
"""Held-out images that are looked at at a time."""


def class_means(
    value: PerSample, images: DeviceImages, num_classes: int, *, shrink: bool = False
) -> Tensor:
    """Return each class's mean of a value, then the mean of all samples, (C + 1,).

    A class without samples has mean 0. With ``shrink`` the class means are `shrunk`, by the pooled
    variance of a sample about its class's mean.
    """
    total = torch.zeros(num_classes, device=images.labels.device)
    count, values = torch.zeros_like(total), []
    for index in torch.arange(len(images), device=total.device).split(AT_A_TIME):
        batch = images.batch(index)
        member, found = one_hot(batch.y, num_classes, total.dtype), value(batch)
        total = total + found @ member
        count = count + member.sum(dim=0)
        values.append(found)
    means = total / count.clamp_min(1)
    if shrink:
        within = (torch.cat(values) - means[images.labels]).square().sum()
        means = shrunk(means, count, within / (count.sum() - (count > 0).sum()).clamp_min(1))
    return torch.cat([means, total.sum(dim=0, keepdim=True) / count.sum()])


def shrunk(means: Tensor, count: Tensor, variance: Tensor) -> Tensor:
    """Pull the classes' means towards each other, the more the fewer samples are behind one.

    m + B_c (x_c - m), B_c = t / (t + v_c): the empirical Bayes estimate of normal means (Efron and
    Morris, JASA 1975; for unequal v_c Morris, JASA 1983). m is the mean of the x_c, v_c = variance
    / n_c the sampling variance of x_c, and t = max(0, s^2 - mean v_c), with s^2 the variance of
    the x_c by C - 1, is the variance between classes by moments. A class without samples gets m.

    Args:
        means: (C,) x_c.
        count: (C,) n_c, samples behind each.
        variance: Of one sample about its class's mean, a scalar.
    """
    seen = count > 0
    known = means[seen]
    if len(known) < 2:  # nothing says how far classes are apart
        return means
    centre, sampling = known.mean(), variance / count
    between = (known.var() - sampling[seen].mean()).clamp_min(0)
    kept = torch.where(seen & (variance <= 0), 1.0, between / (between + sampling))
    return centre + torch.where(seen, kept, 0.0) * (torch.where(seen, means, centre) - centre)


def shrunk_errors(errors: ClassErrors, count: Tensor) -> ClassErrors:
    """Return the natural and the boundary errors `shrunk`, each by its binomial variance m (1 - m).

    The variance is that of the mean over classes: a class's own would be 0 where its few samples
    are all right or all wrong, and say that its error is known exactly.
    """

    def pulled(shares: Tensor) -> Tensor:
        centre = shares[count > 0].mean()
        return shrunk(shares, count, centre * (1 - centre))

    return ClassErrors(natural=pulled(errors.natural), boundary=pulled(errors.boundary))
