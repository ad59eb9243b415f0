"""What a person asks the library for, checked: each mistake is one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from engine.attacks.base import ATTACKS, EvaluationAttack
from engine.attacks.pgd import Pgd
from engine.config import Section
from engine.errors import UserError
from engine.lazy import nn, torch
from engine.mistakes import error_lines
from engine.models.modes import eval_mode
from engine.new_scenario import new_scenario
from engine.perturbation.norms import require_within
from engine.perturbation.threat import ThreatConfig
from engine.scenario import Scenario

if TYPE_CHECKING:
    from torch import Tensor

SectionT = TypeVar("SectionT", bound=Section)


def scenario_asked(scenario: Scenario | Mapping[str, Any], dataset: str | None) -> Scenario:
    """Return the scenario that a run is to have; ``dataset`` stands in the place of its own.

    Raises:
        UserError: A line for each field that is wrong.
    """
    if not isinstance(scenario, Scenario | Mapping):
        raise UserError(f"scenario: {_kind(scenario)} is none; give a Scenario, or its tables")
    values = scenario.as_json() if isinstance(scenario, Scenario) else dict(scenario)
    if dataset is not None:
        given = values.get("data", {})
        values["data"] = {**given, "dataset": dataset} if isinstance(given, Mapping) else given
    try:
        return new_scenario(values)
    except ValidationError as error:
        raise _lines(error, Scenario, "") from None


def attack_asked(
    attack: str | Mapping[str, Any] | EvaluationAttack, num_values: int
) -> EvaluationAttack:
    """Return an attack on images of so many values.

    Raises:
        UserError: There is none of this name, or a field is wrong.
    """
    if not isinstance(attack, EvaluationAttack):
        fields = {"name": attack} if isinstance(attack, str) else _table(attack, "attack")
        name = fields.pop("attack", fields.get("name", ATTACKS.default))
        if name not in ATTACKS.names():
            choice = ", ".join(ATTACKS.names())
            raise UserError(f"attack: {name!r} is unknown; choose {choice}")
        attack = section_asked(ATTACKS[name], {**fields, "name": name}, "attack.")
    try:
        require_within(attack.epsilon, attack.norm, num_values)
        return attack.reaching() if isinstance(attack, Pgd) else attack
    except ValueError as error:
        raise UserError(f"attack: {error}") from None


def threat_asked(threat: Mapping[str, Any] | ThreatConfig | None) -> ThreatConfig:
    """Return a threat model: by default 8/255 in l-inf, ten steps.

    Raises:
        UserError: A field of it is wrong.
    """
    if isinstance(threat, ThreatConfig):
        return threat
    return section_asked(ThreatConfig, _table(threat or {}, "threat"), "threat.")


def section_asked(kind: type[SectionT], fields: Mapping[str, Any], before: str) -> SectionT:
    """Return a table of fields, checked; ``before`` stands before the name of each in a message."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise _lines(error, kind, before) from None


def require_classifier(model: Any, x: Tensor) -> int:
    """Return how many classes a model tells apart, by showing it at most two images.

    Args:
        model: In any mode; it is asked in eval mode.
        x: (B, channels, height, width) in [0, 1], where the model is.

    Raises:
        UserError: It gives no logits (B, C) of such images, or none that are finite.
    """
    if not isinstance(model, nn.Module):
        raise UserError(f"model: {_kind(model)} is none; give a torch.nn.Module")
    some = x[:2]
    with eval_mode(model), torch.no_grad():
        try:
            logits = model(some)
        except Exception as error:  # a network that was not made for such images fails as it likes
            first = (str(error).splitlines() or [type(error).__name__])[0]
            told = f"model: it does not take images of {tuple(x.shape[1:])}"
            raise UserError(f"{told} ({first})") from error
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(some):
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else _kind(logits)
        raise UserError(f"model: it gives {shape} for {len(some)} images; allowed: logits (B, C)")
    if logits.shape[1] < 2:
        raise UserError("model: it gives one logit; allowed: one for each of at least two classes")
    if not bool(logits.isfinite().all()):
        raise UserError("model: its logits are not finite; look at its weights for NaN")
    return int(logits.shape[1])


def device_of(model: Any) -> torch.device:
    """Return where a model is; one without parameters is on the CPU."""
    if not isinstance(model, nn.Module):
        return torch.device("cpu")
    held = next(iter(model.parameters()), next(iter(model.buffers()), None))
    return torch.device("cpu") if held is None else held.device


def _table(given: Any, what: str) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise UserError(f"{what}: {_kind(given)} is none; give its fields, as in a scenario")
    return dict(given)


def _lines(error: ValidationError, kind: type[Section], before: str) -> UserError:
    return UserError(
        *(f"{before}{name}: {says}" for name, says in error_lines(error, kind).items())
    )


def _kind(given: object) -> str:
    return f"a {type(given).__name__}"
