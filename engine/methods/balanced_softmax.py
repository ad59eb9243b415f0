"""Balanced softmax: adversarial training on logits that know how frequent each class is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.lazy import torch
from engine.meta.characteristics import Characteristics
from engine.methods.base import METHODS, Learner, Method, MethodConfig
from engine.objective import LOSSES, LossName, weighed
from engine.types import Assignment, Batch

if TYPE_CHECKING:
    from torch import Tensor, nn


@METHODS.register
class BalancedSoftmaxConfig(MethodConfig):
    """Balanced softmax (Ren et al., NeurIPS 2020) in adversarial training (Yue et al., CVPR 2024).

    With tau other than 1 it is the logit adjustment of Menon et al., ICLR 2021.
    """

    name: Literal["balanced-softmax"] = "balanced-softmax"
    paper: ClassVar[str] = "Ren et al., NeurIPS 2020; with attacks Yue et al., CVPR 2024"
    assigns: ClassVar[str] = (
        "that of `pgd-at` or `trades`, on logits f(x) + tau log pi with pi the shares of the "
        "classes in the training data"
    )
    loss: LossName = Field("pgd-at", description="The loss of those logits")
    beta: float = Field(6.0, ge=0, le=100, description="Weight of the KL term, with trades")
    tau: float = Field(
        1.0,
        ge=0,
        le=10,
        description="How much of log pi the logits get in training; 1 is the balanced softmax",
    )
    attack_with_prior: bool = Field(
        False,
        description="Whether the training attack climbs the loss of those logits too; released "
        "codes climb that of f(x)",
    )

    def build(self, learner: Learner) -> BalancedSoftmax:
        return BalancedSoftmax(self, learner)


def log_prior(class_counts: Tensor) -> Tensor:
    """Return log pi, the logarithms of the classes' shares of the training data, (C,).

    A class without a sample counts as one that has one, so that its logarithm is a number.
    """
    counts = class_counts.clamp_min(1).to(torch.get_default_dtype())
    return (counts / counts.sum()).log()


class BalancedSoftmax(Method):
    """PGD-AT (a = 1) or TRADES (c = 1, a = beta) of g(x) = f(x) + tau log pi; the model is f.

    CE(g(x), y) is -log(pi_y^tau exp f_y / sum_k pi_k^tau exp f_k): with tau = 1 equation 4 of Ren
    et al., with any tau equation 10 of Menon et al. Evaluation and the exported model never see
    log pi. Public: this loss on PGD's adversaries (AT-BSL of Yue et al.; Wu et al.,
    CVPR 2021, compare it as an outer loss), whose released codes climb CE(f(x'), y). Ours:
    ``attack_with_prior``, an attack on g, so that it climbs what training descends, and TRADES,
    where the KL divergence is that between predictions of g.
    """

    def __init__(self, config: BalancedSoftmaxConfig, learner: Learner) -> None:
        self.config, self.epsilon = config, learner.epsilon
        self.shift = config.tau * log_prior(learner.class_counts)
        attacked = self.shift if config.attack_with_prior else None
        self.objective = replace(LOSSES[config.loss], attack_shift=attacked)

    def assign(self, batch: Batch, characteristics: Characteristics | None) -> Assignment:
        one, config = torch.ones(len(batch), device=batch.x.device), self.config
        return weighed(config.loss, one, beta=config.beta, epsilon=self.epsilon)

    def view(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        """Show the images to g."""

        def predict(x: Tensor) -> Tensor:
            logits: Tensor = model(x)
            return logits + self.shift

        return predict
