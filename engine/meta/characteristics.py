"""The six training characteristics zeta of a sample (Zhou et al. 2023), in the paper's order."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from engine.lazy import F, torch
from engine.types import one_hot

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Characteristics:
    """What the weighting network reads of each sample, (B,) each.

    Attributes:
        loss: CE(f(x), y), in nats.
        class_loss: Mean loss of the sample's class in the epoch before; ln C in the first.
        gradient_norm: ||onehot(y) - p||_2 of the loss's gradient by the logits, 0 to sqrt 2.
        margin: p_y - max_{k != y} p_k, -1 to 1.
        entropy: -sum_k p_k log p_k, 0 to ln C.
        class_proportion: Share of the training set that has the sample's label.
    """

    loss: Tensor
    class_loss: Tensor
    gradient_norm: Tensor
    margin: Tensor
    entropy: Tensor
    class_proportion: Tensor

    def table(self) -> Tensor:
        """(B, 6), one column a characteristic."""
        return torch.stack([getattr(self, name) for name in NAMES], dim=1)


NAMES = tuple(item.name for item in fields(Characteristics))


def characteristics(
    logits: Tensor, y: Tensor, *, class_loss: Tensor, class_counts: Tensor
) -> Characteristics:
    """Compute the six from the clean logits.

    Args:
        logits: (B, C), C at least 2.
        y: (B,) given labels.
        class_loss: (C,) mean loss of each class in the epoch before.
        class_counts: (C,) training samples per label.
    """
    log_p = F.log_softmax(logits, dim=1)
    p = log_p.exp()
    label = one_hot(y, logits.shape[1], p.dtype)
    p_label = p.gather(1, y[:, None]).squeeze(1)
    p_rival = (p - 2 * label).amax(dim=1)  # the label's own entry is below every other
    return Characteristics(
        loss=-log_p.gather(1, y[:, None]).squeeze(1),
        class_loss=class_loss[y],
        gradient_norm=(label - p).norm(dim=1),
        margin=p_label - p_rival,
        entropy=-torch.where(p > 0, p * log_p, 0).sum(dim=1),  # 0 log 0 is 0
        class_proportion=(class_counts / class_counts.sum())[y],
    )


def standardised(table: Tensor, crowd: Tensor | None = None) -> Tensor:
    """Return each column of (B, 6) with the batch's mean 0 and standard deviation 1.

    This is batch norm by the batch's own statistics always, in evaluation too; a batch of one, to
    which torch's layer objects, becomes zeros. With a crowd (N, 6) mean and deviation are its own:
    what a few samples would get among so many others.
    """
    crowd = table if crowd is None else crowd
    mean = crowd.mean(dim=0)
    scale = ((crowd - mean).square().mean(dim=0) + 1e-5).sqrt()
    return (table - mean) / scale


class ClassLoss:
    """The mean loss of each class over one epoch, for the characteristics of the next.

    Attributes:
        last: (C,) means of the epoch before; ln C, the loss of a guess, in the first.
        constant: What stands for every mean in every epoch, if anything does.
    """

    def __init__(
        self, num_classes: int, device: torch.device, constant: float | None = None
    ) -> None:
        first = math.log(num_classes) if constant is None else constant
        self.last = torch.full((num_classes,), first, device=device)
        self.constant = constant
        self._start()

    def _start(self) -> None:
        self._sum, self._count = torch.zeros_like(self.last), torch.zeros_like(self.last)

    def add(self, loss: Tensor, y: Tensor) -> None:
        """Take in the losses (B,) of samples with labels y (B,)."""
        member = one_hot(y, len(self.last), loss.dtype)
        self._sum = self._sum + loss @ member
        self._count = self._count + member.sum(dim=0)

    def end_epoch(self) -> None:
        """Make this epoch's means the last; a class without samples keeps its own."""
        seen = self._count > 0
        if self.constant is None:
            self.last = torch.where(seen, self._sum / self._count.clamp_min(1), self.last)
        self._start()
