"""How a meta loss depends on each sample's weights, without a second-order graph.

A step of SGD is linear in the sample weights w: W_hat(w) = W - lr direction(grad_W mean_i w_i l_i).
So d L_meta / d w_i = -(gain / B) <grad L_meta(W_hat), grad l_i(W)> with gain = lr, or
lr (1 + momentum) with Nesterov; momentum buffers and weight decay only shift W_hat. One
forward-mode pass of the per-sample losses along grad L_meta gives every inner product at once.
Where the optimiser clips, its derivative turns that direction (`engine.optim.config.clip`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeAlias

from engine.lazy import torch
from engine.optim.config import clip

if TYPE_CHECKING:
    from torch import Tensor, nn

Parameters: TypeAlias = "dict[str, Tensor]"
LossOfParameters: TypeAlias = "Callable[[Parameters], Tensor]"


def prediction_with(
    model: nn.Module, parameters: Parameters, *, train: bool
) -> Callable[[Tensor], Tensor]:
    """Return the model as a function with other parameters; its buffers stay untouched.

    It computes in float32, whatever training uses: forward mode knows no autocast.
    """
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    in_float32 = getattr(model, "in_float32", nullcontext)

    def predict(x: Tensor) -> Tensor:
        was_training = model.training
        model.train(train)
        try:
            with in_float32():
                logits: Tensor = torch.func.functional_call(model, {**parameters, **buffers}, (x,))
        finally:
            model.train(was_training)
        return logits

    return predict


def virtual_step(
    optimizer: torch.optim.SGD, parameters: Parameters, gradients: Parameters
) -> tuple[Parameters, dict[str, float]]:
    """Return where the optimiser's next step would land, and each parameter's gain.

    The gain is -d W_hat / d gradient. Momentum, Nesterov and weight decay are those of
    ``torch.optim.SGD``; the optimiser itself is not touched.

    Raises:
        ValueError: The optimiser uses dampening or maximises.
    """
    landed: Parameters = {}
    gains: dict[str, float] = {}
    group_of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in parameters.items():
        group = group_of[id(parameter)]
        if group["dampening"] or group["maximize"]:
            raise ValueError("the virtual step knows no dampening and no maximising")
        momentum = group["momentum"]
        direction = gradients[name] + group["weight_decay"] * parameter.detach()
        buffer = optimizer.state[parameter].get("momentum_buffer") if momentum else None
        velocity = direction if buffer is None else direction + momentum * buffer
        if group["nesterov"]:
            velocity = direction + momentum * velocity
        landed[name] = parameter.detach() - group["lr"] * velocity
        gains[name] = group["lr"] * (1 + momentum if group["nesterov"] else 1)
    return landed, gains


def weight_gradient(
    model: nn.Module,
    optimizer: torch.optim.SGD,
    *,
    losses: Tensor,
    weights: Tensor,
    losses_at: LossOfParameters,
    meta_loss: LossOfParameters,
) -> Tensor:
    """Return d L_meta(W_hat(weights)) / d weights, shape (B, 3).

    Args:
        model: Its parameters are W.
        optimizer: The optimiser whose next step W_hat is.
        losses: (B, 3) the per-sample losses at W with their graph, which is kept.
        weights: (B, 3) the weights in force; the batch's loss is the mean of their products.
        losses_at: The same losses as a function of the parameters.
        meta_loss: The scalar meta loss as a function of the parameters.
    """
    parameters: Parameters = dict(model.named_parameters())
    loss = (weights.detach() * losses).sum(dim=1).mean()
    gradients = torch.autograd.grad(
        loss, list(parameters.values()), retain_graph=True, materialize_grads=True
    )
    named = dict(zip(parameters, gradients, strict=True))
    clip_norm = getattr(optimizer, "clip_norm", None)
    named, clip_derivative = (named, None) if clip_norm is None else clip(named, clip_norm)
    landed, gains = virtual_step(optimizer, parameters, named)
    landed = {name: value.requires_grad_() for name, value in landed.items()}
    meta_gradients = torch.autograd.grad(
        meta_loss(landed), list(landed.values()), materialize_grads=True
    )
    along = {
        name: -gains[name] * gradient for name, gradient in zip(landed, meta_gradients, strict=True)
    }
    along = along if clip_derivative is None else clip_derivative(along)
    here = {name: parameter.detach() for name, parameter in parameters.items()}
    change: Tensor = torch.func.jvp(losses_at, (here,), (along,))[1]
    return change / len(losses)
