"""Does a model only hide its gradients? Four checks that a robust accuracy should pass.

They are the signs of obfuscated gradients (Athalye, Carlini & Wagner, ICML 2018; Carlini et al.,
"On evaluating adversarial robustness", 2019): a model can be made hard to attack by gradients
without being any more robust.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

from pydantic import Field

from engine.attacks.base import EvaluationAttack
from engine.attacks.pgd import Pgd
from engine.attacks.square import Square
from engine.config import Section
from engine.evaluation.suite import Suite
from engine.perturbation.norms import BALLS
from engine.perturbation.threat import ThreatConfig


class MaskingConfig(Section):
    """How hard the checks look, and how much they forgive."""

    num_steps: int = Field(40, ge=2, le=1000, description="Steps of PGD, the white-box attack")
    num_queries: int = Field(1000, ge=1, le=100_000, description="Queries of Square, the black box")
    num_starts: int = Field(5, ge=2, le=50, description="Random starts that are compared")
    tolerance: float = Field(
        0.03, ge=0, le=0.5, description="Difference of two accuracies that is put down to chance"
    )
    zero: float = Field(0.05, ge=0, le=0.5, description="Accuracy that counts as about zero")


@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes:
        name: Of the check.
        passed: Whether the model behaves as one does that hides nothing.
        reason: One sentence, with the figures that decided.
        figures: What was measured, by name; lists of one length, accuracies as shares of 1.
    """

    name: str
    passed: bool
    reason: str
    figures: dict[str, list[float]]


def masking_checks(suite: Suite, threat: ThreatConfig, config: MaskingConfig) -> list[Finding]:
    """Make every check on the images that the suite looks at, in the threat model's ball.

    Raises:
        UserError: As `Suite.assess` does; Square needs pyautoattack.
    """
    checks = _Checks(suite, threat, config)
    return [
        checks.falls_to_zero(),
        checks.steps_help(),
        checks.gradients_beat_queries(),
        checks.starts_agree(),
    ]


def num_looks(suite: Suite, threat: ThreatConfig, config: MaskingConfig) -> int:
    """Return how many times the checks look at the images."""
    checks = _Checks(suite, threat, config)
    return len(checks.radii()) + len(checks.step_counts()) + 2 + config.num_starts


def white_box(
    threat: ThreatConfig,
    config: MaskingConfig,
    *,
    epsilon: float | None = None,
    num_steps: int | None = None,
) -> Pgd:
    """Return the checks' PGD, whose steps together are 2.5 radii long (Madry et al. 2018).

    Args:
        threat: Norm and radius.
        config: Number of steps.
        epsilon: Another radius.
        num_steps: Another number of steps.
    """
    radius = threat.epsilon if epsilon is None else epsilon
    count = config.num_steps if num_steps is None else num_steps
    step = min(radius, 2.5 * radius / count)
    return Pgd(norm=threat.norm, epsilon=radius, num_steps=count, step_size=step or None)


class _Checks:
    def __init__(self, suite: Suite, threat: ThreatConfig, config: MaskingConfig) -> None:
        images = suite.subject.images.take(suite.index())
        self.subject = replace(suite.subject, images=images)  # the same ones for every seed
        self.suite, self.threat, self.config = suite, threat, config
        self.chance = max(config.tolerance, 3 / len(images)) + 1e-9  # differences are rounded
        """Difference that is put down to chance; three images are never more."""
        self.zero = config.zero + 1e-9  # so are accuracies

    def radii(self) -> list[float]:
        """Return the radii of the first check, ascending."""
        num_values = self.subject.images.images[0].size
        # A ball of half the widest radius holds the grey image, wherever its centre is: in it no
        # model can tell two classes apart.
        half = BALLS[self.threat.norm].widest(num_values) / 2
        radii = [self.threat.epsilon * times for times in (0.0, 0.5, 1.0, 2.0, 4.0)]
        return [*(radius for radius in radii if radius < half), half]

    def step_counts(self) -> list[int]:
        """Return the numbers of steps of the second check, ascending."""
        return sorted({1, (self.config.num_steps + 1) // 2, self.config.num_steps})

    def falls_to_zero(self) -> Finding:
        radii = self.radii()
        half = radii[-1]
        accuracy = [self._accuracy(self._pgd(epsilon=radius)) for radius in radii]
        rise = _rise(accuracy)
        return Finding(
            "accuracy falls to about zero as the radius grows",
            rise <= self.chance and accuracy[-1] <= self.zero,
            f"Accuracy rises by {rise:.3f} at most from one radius to the next (allowed: "
            f"{self.chance:.3f}) and ends at {accuracy[-1]:.3f} with radius {half:.3g} (allowed: "
            f"{self.config.zero:.3f}).",
            {"epsilon": radii, "accuracy": accuracy},
        )

    def steps_help(self) -> Finding:
        counts = self.step_counts()
        accuracy = [self._accuracy(self._pgd(num_steps=count)) for count in counts]
        rise = _rise(accuracy)
        return Finding(
            "more steps do not help the defender",
            rise <= self.chance,
            f"Accuracy rises by {rise:.3f} at most as {counts[0]} step becomes {counts[-1]} "
            f"(allowed: {self.chance:.3f}).",
            {"num_steps": [float(count) for count in counts], "accuracy": accuracy},
        )

    def gradients_beat_queries(self) -> Finding:
        square = Square(
            norm=self.threat.norm,
            epsilon=self.threat.epsilon,
            num_queries=self.config.num_queries,
        )
        white, black = self._accuracy(self._pgd()), self._accuracy(square)
        return Finding(
            "a black-box attack is not stronger than a white-box one",
            black >= white - self.chance,
            f"Accuracy is {black:.3f} under Square, which sees no gradient, and {white:.3f} under "
            f"PGD-{self.config.num_steps} (allowed below it: {self.chance:.3f}).",
            {"white_box": [white], "black_box": [black]},
        )

    def starts_agree(self) -> Finding:
        first, attack = self.suite.sample.seed, self._pgd()
        accuracy = [self._accuracy(attack, first + k) for k in range(self.config.num_starts)]
        spread = max(accuracy) - min(accuracy)
        return Finding(
            "random starts end alike",
            spread <= self.chance,
            f"Accuracy spreads over {spread:.3f} between {len(accuracy)} random starts (allowed: "
            f"{self.chance:.3f}).",
            {"accuracy": accuracy},
        )

    def _pgd(self, *, epsilon: float | None = None, num_steps: int | None = None) -> Pgd:
        return white_box(self.threat, self.config, epsilon=epsilon, num_steps=num_steps)

    def _accuracy(self, attack: EvaluationAttack, seed: int | None = None) -> float:
        sample = self.suite.sample
        drawn = sample.model_copy(
            update={"subset": None, "seed": sample.seed if seed is None else seed}
        )
        found = replace(self.suite, subject=self.subject, sample=drawn).assess(attack)
        return 1 - float(found.outcomes.robust.mean())


def _rise(accuracy: list[float]) -> float:
    """Return how far a list that should fall rises at most from one entry to the next."""
    return max(0.0, *(after - before for before, after in pairwise(accuracy)))
