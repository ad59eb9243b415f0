"""The attack inside training: both copies of a batch in one walk."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.modes import eval_mode
from engine.objective import Objective, Predict, kl_divergence
from engine.perturbation.norms import BALLS
from engine.perturbation.spaces import SPACES
from engine.perturbation.steps import perturb, random_start
from engine.perturbation.threat import ThreatConfig
from engine.types import Batch, Copies, Draw


@dataclass
class TrainingAttack:
    """Adversary and anti-adversary of each sample, in one forward and backward pass per step.

    The adversary climbs the objective's loss: CE against the label, or the label-free
    KL(p(x) || p(x')). The anti-adversary descends CE(f(x'), y) (Zhou et al. 2023). The model is in
    eval mode meanwhile.

    Attributes:
        model, threat: Whom it attacks, and how.
        rng: Where the random starts come from.
        share: What every ball and step is multiplied by while the radius warms up.
        counts: Whether to say how many steps of its adversary each sample withstood; not where a
            sample gets one copy, of either kind.
    """

    model: nn.Module
    threat: ThreatConfig
    rng: torch.Generator
    share: float = 1.0
    counts: bool = False

    def __call__(  # noqa: PLR0913 - what an assignment may say of the attack, one by one
        self,
        batch: Batch,
        log_p: Tensor | None,
        bound: Tensor,
        *,
        objective: Objective,
        step: Tensor | None = None,
        probability: Tensor | None = None,
        direction: Tensor | None = None,
        target: Tensor | None = None,
    ) -> Copies:
        """Return the copies that the objective asks for.

        Args:
            batch: The samples.
            log_p: (B, C) clean log p(x) in eval mode; needed where the adversary climbs KL.
            bound: (B,) radius of each sample's ball.
            objective: Which copies, and what the adversary climbs.
            step: (B,) length of each sample's step; None is the threat model's for all.
            probability: (B,) chance of the adversary, where each sample gets one copy.
            direction: (B,) bool, whether it is the adversary; None draws it.
            target: (B,) class that each adversary walks towards, -1 for none.
        """
        draw = None if probability is None else self._draw(probability, direction)
        climbs = _which_climb(batch, objective) if draw is None else draw.is_adversary
        times = len(climbs) // len(batch)
        if times == 0:
            return Copies(None, None)
        space = SPACES[objective.space](self.model)
        x, epsilon = space.enter(batch.x).repeat(times, 1, 1, 1), self.share * bound.repeat(times)
        ball = BALLS[self.threat.norm](x, epsilon)
        length = self.threat.step if step is None else step.repeat(times)
        y, target = batch.y.repeat(times), None if target is None else target.repeat(times)
        counted = len(batch) if self.counts and objective.adversary and draw is None else 0
        steps = StepsWithstood(batch.y[:counted])
        with eval_mode(self.model):
            moved = perturb(
                _loss(
                    steps.watching(space),
                    y,
                    log_p,
                    climbs=climbs,
                    target=target,
                    objective=objective,
                ),
                ball,
                random_start(ball, start=objective.start, generator=self.rng),
                step=torch.where(climbs, 1.0, -1.0) * length * self.share,
                num_steps=self._num_steps(objective),
            )
        moved = space.leave(moved)
        if draw is not None:
            return Copies(moved, None, draw)
        num_adv = len(batch) if objective.adversary else 0
        return Copies(
            adversary=moved[:num_adv] if num_adv else None,
            anti_adversary=moved[num_adv:] if len(moved) > num_adv else None,
            withstood=steps.count if counted else None,
        )

    def _num_steps(self, objective: Objective) -> int:
        """Return how many steps to walk: none while nothing can move."""
        can_move = self.share * self.threat.epsilon > 0
        return (objective.num_steps or self.threat.num_steps) if can_move else 0

    def on(self, model: nn.Module) -> "TrainingAttack":
        """Return the attack on another model; random draws go on in the same stream."""
        return replace(self, model=model)

    def _draw(self, probability: Tensor, direction: Tensor | None) -> Draw:
        if direction is None:
            # A chance that is NaN is found where losses are told; here it would break the draw.
            chance = probability.nan_to_num(0.0)
            direction = torch.bernoulli(chance, generator=self.rng).bool()
        return Draw(direction, probability)


class StepsWithstood:
    """Counts, as a walk goes on, the steps before which the model still saw each label.

    Attributes:
        count: (B,) so far; it stands still from the first step before which another class was seen.
    """

    def __init__(self, y: Tensor) -> None:
        self.y, self.count = y, torch.zeros(len(y), device=y.device)
        self._unbroken = torch.ones_like(y, dtype=torch.bool)

    def watching(self, predict: Predict) -> Predict:
        """Return the model as it is asked in a walk, of which the first B rows are counted."""
        if not len(self.y):
            return predict

        def watched(x_moved: Tensor) -> Tensor:
            logits = predict(x_moved)
            seen = logits.detach()[: len(self.y)].argmax(dim=1)
            self._unbroken = self._unbroken & (seen == self.y)
            self.count = self.count + self._unbroken
            return logits

        return watched


def _loss(
    predict: Predict,
    y: Tensor,
    log_p: Tensor | None,
    *,
    climbs: Tensor,
    target: Tensor | None,
    objective: Objective,
) -> Callable[[Tensor], Tensor]:
    """Return what each copy climbs or descends, from images (R, channels, h, w) to (R,)."""

    def loss(x_moved: Tensor) -> Tensor:
        logits = predict(x_moved)
        if objective.attack_shift is not None:
            logits = logits + objective.attack_shift
        by_label = F.cross_entropy(logits, y, reduction="none")
        if target is not None:
            towards = -F.cross_entropy(logits, target.clamp_min(0), reduction="none")
            return torch.where(climbs & (target >= 0), towards, untargeted(logits, by_label))
        return untargeted(logits, by_label)

    def untargeted(logits: Tensor, by_label: Tensor) -> Tensor:
        if objective.climbs == "ce" or not objective.adversary:
            return by_label
        assert log_p is not None
        clean = log_p.repeat(len(y) // len(log_p), 1)
        if objective.attack_shift is not None:
            clean = (clean + objective.attack_shift).log_softmax(dim=1)
        return torch.where(climbs, kl_divergence(clean, logits.log_softmax(dim=1)), by_label)

    return loss


def _which_climb(batch: Batch, objective: Objective) -> Tensor:
    """Return a row per copy, adversaries first: whether it is one."""
    copies = [True] * objective.adversary + [False] * objective.anti_adversary
    kinds = torch.tensor(copies, dtype=torch.bool, device=batch.x.device)
    return kinds.repeat_interleave(len(batch))
