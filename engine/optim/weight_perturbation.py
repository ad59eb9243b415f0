"""Adversarial weight perturbation (AWP; Wu, Xia and Wang, NeurIPS 2020)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def perturbed_weights(model: nn.Module, gamma: float) -> Iterator[None]:
    """Move the weights where the loss is higher, and back to the last bit at the end.

    One step of Eq. 10 from v = 0, as released: each tensor w of more than one dimension moves by
    gamma ||w|| g / ||g||, where g is the gradient that it has; biases and the parameters of batch
    norm stay. Buffers are put back as well: running statistics are those of the weights as they
    are, where the released code takes them at the perturbed ones.

    Args:
        model: Its parameters have the gradients of the loss; a tensor without one, or with zeros,
            stays.
        gamma: Radius as a share of each tensor's norm.
    """
    moved = [p for p in model.parameters() if p.dim() > 1 and p.grad is not None]
    kept = [(tensor, tensor.detach().clone()) for tensor in (*moved, *model.buffers())]
    with torch.no_grad():
        for p in moved:
            assert p.grad is not None
            length = p.grad.norm()
            scale = torch.where(length > 0, gamma * p.norm() / length, 0.0)
            p.add_(scale * p.grad)
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in kept:
                tensor.copy_(value)
