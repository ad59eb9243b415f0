"""Switches that are put back as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.lazy import nn, torch

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Run a block in eval mode: batch norm uses, and keeps, its running statistics."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@contextmanager
def arithmetic(*, tf32: bool) -> Iterator[None]:
    """Run a block with float32 as it is, or with products rounded to TF32 where a GPU can."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    allow_tf32(tf32, tf32)
    try:
        yield
    finally:
        allow_tf32(*before)


def allow_tf32(convolutions: bool, products: bool) -> None:
    """Say, for the whole process, whether GPUs may round the factors of float32 to 10 bits.

    Torch allows it in convolutions unless told, and calls the result float32. Of its two sets of
    names these are the ones that every version reads and writes alike: where the newer
    ``fp32_precision`` is set, a reader of these is an error.
    """
    torch.backends.cudnn.allow_tf32 = convolutions
    torch.backends.cuda.matmul.allow_tf32 = products


@contextmanager
def without_parameter_gradients(model: nn.Module) -> Iterator[None]:
    """Run a block in which gradients stop at the images: cheaper, and none is left behind."""
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


@contextmanager
def channels_last(model: nn.Module) -> Iterator[None]:
    """Run a block with the weights of convolutions laid out channels last; their values stay."""
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    held = [module.weight.data for module in convolutions]
    nn.utils.convert_conv2d_weight_memory_format(model, torch.channels_last)
    try:
        yield
    finally:
        for module, weight in zip(convolutions, held, strict=True):
            module.weight.data = weight


@contextmanager
def with_weights(model: nn.Module, weights: dict[str, Tensor]) -> Iterator[None]:
    """Run a block with other parameters and buffers; no names at all changes nothing."""
    if not weights:
        yield
        return
    own = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(weights)
    try:
        yield
    finally:
        model.load_state_dict(own)
