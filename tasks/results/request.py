"""What an evaluation is asked for, and what that makes of a scenario's own protocol."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from engine.attacks.base import ATTACKS, EvaluationAttack
from engine.attacks.pgd import QUARTERS, Pgd
from engine.config import Section
from engine.errors import UserError
from engine.evaluation.evaluate import attack_of
from engine.evaluation.suite import SampleConfig
from engine.mistakes import error_lines
from engine.scenario import Scenario

_FLAGS = {"num_steps": "steps"}
SectionT = TypeVar("SectionT", bound=Section)


@dataclass(frozen=True)
class EvaluationRequest:
    """What is asked for.

    Attributes:
        attack: Its name.
        knobs: Those of its fields that are not the scenario's: ``norm``, ``epsilon``,
            ``num_steps``, ``restarts``.
        subset: Stratified part of the test images; None is all of them.
        seed: Of the part and of every draw; None is the run's.
        as_released: Whether to run the released code's protocol beside.
        curve: Whether to draw a security curve.
        masking: Whether to look for masked gradients.
    """

    attack: str = "pgd"
    knobs: Mapping[str, Any] = field(default_factory=dict)
    subset: int | None = None
    seed: int | None = None
    as_released: bool = False
    curve: bool = False
    masking: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored; requests for the same are equal."""
        given = {name: value for name, value in self.knobs.items() if value is not None}
        return asdict(self) | {"knobs": given}

    def in_words(self) -> str:
        """Say it in a few words: ``autoattack, epsilon 0.1, subset 100, curve``."""
        knobs = [f"{name} {value}" for name, value in self.as_json()["knobs"].items()]
        numbers = {"subset": self.subset, "seed": self.seed}
        told = [f"{name} {value}" for name, value in numbers.items() if value is not None]
        also = {"as released": self.as_released, "curve": self.curve, "masking": self.masking}
        wanted = [name for name, is_wanted in also.items() if is_wanted]
        return ", ".join([self.attack, *knobs, *told, *wanted])


def attack_asked(scenario: Scenario, request: EvaluationRequest) -> EvaluationAttack:
    """Return the attack: the scenario's own but for what is asked for.

    Raises:
        UserError: There is no such attack, or it does not take what is asked for.
    """
    if request.attack not in ATTACKS.names():
        raise UserError(
            f"--attack: {request.attack!r} is unknown; choose {', '.join(ATTACKS.names())}"
        )
    own = attack_of(scenario.evaluation, scenario.threat, split="test")
    kind = ATTACKS[request.attack]
    knobs = {name: value for name, value in request.knobs.items() if value is not None}
    if knobs.get("norm", own.norm) != own.norm and "epsilon" not in knobs:
        raise UserError(f"--norm: {knobs['norm']} is not the run's norm; give its --epsilon too")
    fields = own.model_dump() if isinstance(own, kind) else {"norm": own.norm}
    fields |= {"epsilon": own.epsilon}
    if "epsilon" in knobs or ("num_steps" in knobs and own.num_steps < QUARTERS):
        fields.pop("step_size", None)  # the scenario's was meant for its radius and few steps
    attack = _reaching(_checked(kind, {**fields, **knobs, "name": request.attack}), knobs)
    if request.curve and not attack.epsilon:
        raise UserError("--curve: it needs a radius; give --epsilon")
    return attack


def _reaching(attack: EvaluationAttack, knobs: Mapping[str, Any]) -> EvaluationAttack:
    if not isinstance(attack, Pgd) or not knobs.keys() & {"epsilon", "num_steps"}:
        return attack  # the run's own, as it was
    try:
        return attack.reaching()
    except ValueError as error:
        raise UserError(f"--steps: {error}") from None


def sample_asked(scenario: Scenario, request: EvaluationRequest) -> SampleConfig:
    """Return which images are looked at, and with which draws.

    Raises:
        UserError: There are no such images or draws.
    """
    seed = scenario.seed if request.seed is None else request.seed
    size = scenario.evaluation.batch_size
    return _checked(SampleConfig, {"subset": request.subset, "seed": seed, "batch_size": size})


def _checked(kind: type[SectionT], fields: Mapping[str, Any]) -> SectionT:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        lines = error_lines(error, kind)
        raise UserError(
            "\n".join(f"--{_FLAGS.get(name, name)}: {text}" for name, text in lines.items())
        ) from None
