"""The evaluation card: the protocol behind a number."""

from dataclasses import asdict, dataclass
from importlib.metadata import version

from engine.attacks.base import ATTACKS, Conditions, EvaluationAttack
from engine.perturbation.threat import ThreatConfig
from engine.runtime import versions
from engine.types import ImageSet

PIXELS = "pixels"
"""Where every evaluation looks but those that audit another code."""

FLOAT32 = "float32"
"""What every evaluation computes in; a card that does not say is from before it was seen to."""


@dataclass(frozen=True)
class Subject:
    """Which model was looked at, and on what.

    Attributes:
        images: The images at hand.
        num_classes: C.
        split: ``test``, ``search`` or ``validation``.
        whole: Images of the whole split.
        checkpoint: The weights, in words.
        trained: The threat model of the training; None where somebody else trained it.
        method: Label of the method that trained the model.
    """

    images: ImageSet
    num_classes: int
    split: str
    whole: int
    checkpoint: str
    trained: ThreatConfig | None
    method: str


@dataclass(frozen=True)
class EvaluationCard:
    """The protocol behind a number. Two results with different cards are not one ranking.

    Attributes:
        method: Label of the method that trained the model.
        label: The attack as it may be named in a table; on a subset it says its n.
        epsilon, trained_epsilon: Radius of the attack, and of training, each in its own norm;
            None of a training that was not here.
        step_size, targets: None where the attack has no such thing.
        n, whole: Images looked at, and images of the whole split.
        batch_size: Images attacked at a time; random draws depend on it.
        space: What the radius, the step and the clip to [0, 1] are applied to.
        arithmetic: Of the whole look, whatever training used.
    """

    method: str
    attack: str
    label: str
    loss: str
    norm: str
    epsilon: float
    step_size: float | None
    num_steps: int
    restarts: int
    start: str
    targets: int | None
    trained_norm: str | None
    trained_epsilon: float | None
    split: str
    n: int
    whole: int
    subset: bool
    batch_size: int
    batch_norm: str
    checkpoint: str
    seed: int
    versions: dict[str, str]
    space: str = PIXELS
    arithmetic: str = FLOAT32

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def card_of(
    attack: EvaluationAttack, subject: Subject, conditions: Conditions, *, n: int
) -> EvaluationCard:
    """Return the protocol of one look at n images of a subject."""
    does = attack.procedure(subject.num_classes)
    subset = n < subject.whole
    return EvaluationCard(
        method=subject.method,
        attack=attack.name,
        label=f"{does.label}-subset({n})" if subset else does.label,
        loss=does.loss,
        norm=attack.norm,
        epsilon=attack.epsilon,
        step_size=does.step_size,
        num_steps=does.num_steps,
        restarts=does.restarts,
        start=does.start,
        targets=does.targets,
        trained_norm=subject.trained.norm if subject.trained else None,
        trained_epsilon=subject.trained.epsilon if subject.trained else None,
        split=subject.split,
        n=n,
        whole=subject.whole,
        subset=subset,
        batch_size=conditions.batch_size,
        batch_norm="eval",
        checkpoint=subject.checkpoint,
        seed=conditions.seed,
        versions={
            **versions(),
            **ATTACKS.origin(attack.name),
            **{name: version(name) for name in does.packages},
        },
    )
