"""The attack inside training: both copies of a batch in one walk."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.method import Attack, Objective
from engine.modes import eval_mode
from engine.objective import kl_divergence
from engine.perturb import ThreatConfig, perturb, random_start
from engine.types import Batch, Copies


@dataclass
class TrainingAttack(Attack):
    """Adversary and anti-adversary of each sample, in one forward and backward pass per step.

    The adversary climbs the objective's loss: CE against the label, or the label-free
    KL(p(x) || p(x')). The anti-adversary descends CE(f(x'), y) (Zhou et al. 2023). The model is in
    eval mode meanwhile.

    Attributes:
        model, threat: Whom it attacks, and how.
        rng: Where the random starts come from.
        share: What every ball and step is multiplied by while the radius warms up.
    """

    model: nn.Module
    threat: ThreatConfig
    rng: torch.Generator
    share: float = 1.0

    def __call__(
        self, batch: Batch, log_p: Tensor | None, bound: Tensor, objective: Objective
    ) -> Copies:
        """Return the copies that the objective asks for.

        Args:
            batch: The samples.
            log_p: (B, C) clean log p(x) in eval mode; needed where the adversary climbs KL.
            bound: (B,) radius of each sample's ball.
            objective: Which copies, and what the adversary climbs.
        """
        num_adv = len(batch) if objective.adversary else 0
        num_anti = len(batch) if objective.anti_adversary else 0
        times = (num_adv > 0) + (num_anti > 0)
        if times == 0:
            return Copies(None, None)
        x, epsilon = batch.x.repeat(times, 1, 1, 1), self.share * bound.repeat(times)
        up = torch.ones(num_adv, device=x.device)
        down = -torch.ones(num_anti, device=x.device)

        def loss(x_moved: Tensor) -> Tensor:
            logits = self.model(x_moved)
            if objective.adversary_loss == "ce" or not num_adv:
                return F.cross_entropy(logits, batch.y.repeat(times), reduction="none")
            assert log_p is not None
            climb = kl_divergence(log_p, logits[:num_adv].log_softmax(dim=1))
            descend = F.cross_entropy(logits[num_adv:], batch.y[:num_anti], reduction="none")
            return torch.cat([climb, descend])

        with eval_mode(self.model):
            moved = perturb(
                loss,
                x,
                random_start(x, epsilon, start=objective.start, generator=self.rng),
                epsilon=epsilon,
                step=torch.cat([up, down]) * self.threat.step * self.share,
                num_steps=self.threat.num_steps,
            )
        return Copies(
            adversary=moved[:num_adv] if num_adv else None,
            anti_adversary=moved[num_adv:] if num_anti else None,
        )
