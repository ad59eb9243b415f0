"""The one loss that every method shares, sample by sample."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.method import Objective
from engine.types import Batch, Copies

Predict = Callable[[Tensor], Tensor]
"""From images (B, channels, h, w) to logits (B, C)."""


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) of each row, (B,), from log-probabilities (B, C), in nats."""
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=1)


def per_sample_losses(
    predict: Predict, batch: Batch, copies: Copies, objective: Objective
) -> Tensor:
    """Return CE(f(x), y), l_adv(x, x+) and CE(f(x-), y) of each sample, (B, 3).

    A term that the objective does not use is a column of zeros. Each kind of image is a forward
    pass of its own, so that in train mode batch norm sees one kind at a time, as in TRADES.
    """
    nothing = torch.zeros(len(batch), device=batch.x.device, dtype=batch.x.dtype)
    clean = adversary = anti_adversary = nothing
    needs_clean = objective.clean or objective.adversary_loss == "kl"
    logits = predict(batch.x) if needs_clean else None
    if objective.clean and logits is not None:
        clean = F.cross_entropy(logits, batch.y, reduction="none")
    if copies.adversary is not None:
        logits_adv = predict(copies.adversary)
        if logits is not None and objective.adversary_loss == "kl":
            adversary = kl_divergence(logits.log_softmax(dim=1), logits_adv.log_softmax(dim=1))
        else:
            adversary = F.cross_entropy(logits_adv, batch.y, reduction="none")
    if copies.anti_adversary is not None:
        logits_anti = predict(copies.anti_adversary)
        anti_adversary = F.cross_entropy(logits_anti, batch.y, reduction="none")
    return torch.stack([clean, adversary, anti_adversary], dim=1)
