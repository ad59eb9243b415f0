"""``caat evaluate``: look at a trained model under any protocol, and store what was said."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from db.evaluations import NewEvaluation, write_evaluation
from db.session import Database
from db.writes import transitions
from engine.attacks.base import ATTACKS, Conditions, EvaluationAttack
from engine.attacks.pgd import QUARTERS, Pgd
from engine.config import Section
from engine.errors import UserError
from engine.evaluation.card import EvaluationCard, card_of
from engine.evaluation.error_names import ROBUST_ERROR
from engine.evaluation.evaluate import Outcomes, attack_of
from engine.evaluation.masking import MaskingConfig, masking_checks, white_box
from engine.evaluation.released import card_as_released, examine_as_released
from engine.evaluation.statistics import class_counts, errors_by_class
from engine.evaluation.suite import Assessment, SampleConfig, Suite
from engine.mistakes import error_lines
from engine.numbers import in_255ths
from engine.perturbation.norms import BALLS
from engine.perturbation.threat import ThreatConfig
from engine.scenario import Scenario
from engine.training.run_info import subject_of_test
from engine.types import IntArray
from tasks.results.metrics import metrics_in_full
from tasks.results.trained import Trained, load_trained

CURVE = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Radii of a security curve, in those of the attack; at 0 stands the natural error."""
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


def evaluate(database: Database, run_id: str, request: EvaluationRequest) -> dict[str, Any]:
    """Evaluate a run that has ended, store it, and return what ``caat evaluate --json`` prints.

    Raises:
        UserError: The run, the attack or the subset does not work; nothing is stored.
    """
    trained = load_trained(database, run_id)
    attack, suite = _attack(trained.scenario, request), _suite(trained, request)
    with trained.model.in_float32():
        first = suite.assess(attack)
        found = {"pixel": _attacked(first.card, first.outcomes, suite, index=first.index)}
        if request.as_released:
            found["as_released"] = _as_released(trained, suite, first.index)
        if request.curve:
            found["curve"] = _curve(suite, attack, first)
        if request.masking:
            found["masking"] = _masking(suite, attack, first.card.n)
    _store(database, trained, list(found.values()))
    told = {kind: _told(new, trained) for kind, new in found.items()}
    return {"run_id": run_id, **told.pop("pixel"), **told}


def _store(database: Database, trained: Trained, found: list[NewEvaluation]) -> None:
    run_id, attempt = trained.run.id, trained.run.attempt
    with database.write() as session:
        if not transitions.ended_with(session, run_id, attempt):
            raise UserError(f"RUN: {run_id} was resumed or deleted meanwhile; nothing is stored")
        for new in found:
            write_evaluation(session, run_id, attempt, new=new)


def _told(new: NewEvaluation, trained: Trained) -> dict[str, Any]:
    told = {"name": new.name, "evaluation_card": new.card}
    if new.outcomes is None:
        return told | {"findings": new.findings}
    return told | {"metrics": metrics_in_full(new.outcomes, trained.data.class_names)}


# -- what is asked for


def _attack(scenario: Scenario, request: EvaluationRequest) -> EvaluationAttack:
    """Return the attack: the scenario's own but for what is asked for."""
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
    attack = _checked(kind, {**fields, **knobs, "name": request.attack})
    if not isinstance(attack, Pgd) or not knobs.keys() & {"epsilon", "num_steps"}:
        return attack  # the run's own, as it was
    try:
        return attack.reaching()
    except ValueError as error:
        raise UserError(f"--steps: {error}") from None


def _checked(kind: type[SectionT], fields: Mapping[str, Any]) -> SectionT:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        lines = error_lines(error, kind)
        raise UserError(
            "\n".join(f"--{_FLAGS.get(name, name)}: {text}" for name, text in lines.items())
        ) from None


def _suite(trained: Trained, request: EvaluationRequest) -> Suite:
    scenario, config = trained.scenario, trained.scenario.evaluation
    seed = scenario.seed if request.seed is None else request.seed
    sample = {"subset": request.subset, "seed": seed, "batch_size": config.batch_size}
    return Suite(
        model=trained.model,
        subject=subject_of_test(scenario, trained.data, trained.checkpoint),
        sample=_checked(SampleConfig, sample),
        device=trained.device,
    )


# -- what is found


def _attacked(
    card: EvaluationCard, outcomes: Outcomes, suite: Suite, *, index: IntArray
) -> NewEvaluation:
    columns = outcomes.columns(suite.subject.images.take(index))
    return NewEvaluation(_name(card), "attack", card.n, card.as_json(), outcomes=columns)


def _as_released(trained: Trained, suite: Suite, index: IntArray) -> NewEvaluation:
    """Look at the same images under the released code's protocol."""
    conditions, images = _conditions(suite), suite.subject.images.take(index)
    outcomes = examine_as_released(trained.model, images, conditions, device=trained.device)
    card = card_as_released(trained.model, suite.subject, conditions, n=len(index))
    return _attacked(card, outcomes, suite, index=index)


def _curve(suite: Suite, attack: EvaluationAttack, first: Assessment) -> NewEvaluation:
    """Count robust errors per class at several radii, on the same images."""
    if not attack.epsilon:
        raise UserError("--curve: it needs a radius; give --epsilon")
    subject, found = suite.subject, first.outcomes
    widest = BALLS[attack.norm].widest(subject.images.images[0].size)
    radii = sorted({min(share * attack.epsilon, widest) for share in CURVE})
    looks = suite.security_curve(attack, radii)
    natural = class_counts(found.label[found.natural], subject.num_classes)
    wrong = [natural, *(_robust(look.outcomes, subject.num_classes) for look in looks)]
    findings = {
        "epsilon": [0.0, *radii],
        "wrong": [counts.tolist() for counts in wrong],
        "count": class_counts(found.label, subject.num_classes).tolist(),
    }
    card = first.card.as_json()
    return NewEvaluation(f"curve: {_name(first.card)}", "curve", first.card.n, card, findings)


def _robust(found: Outcomes, num_classes: int) -> IntArray:
    wrong = errors_by_class(found.label, found.clean, found.attacked, num_classes=num_classes)
    return wrong[ROBUST_ERROR]


def _masking(suite: Suite, attack: EvaluationAttack, n: int) -> NewEvaluation:
    """Make the checks in the ball of the attack; their card is that of their PGD."""
    threat, config = ThreatConfig(norm=attack.norm, epsilon=attack.epsilon), MaskingConfig()
    checks = [asdict(finding) for finding in masking_checks(suite, threat, config)]
    card = card_of(white_box(threat, config), suite.subject, _conditions(suite), n=n)
    findings = {"checks": checks, "config": config.model_dump()}
    return NewEvaluation(f"masking: {_name(card)}", "masking", n, card.as_json(), findings)


def _conditions(suite: Suite) -> Conditions:
    return Conditions(suite.sample.seed, suite.sample.batch_size, suite.check)


def _name(card: EvaluationCard) -> str:
    """Return the protocol in words; equal protocols have equal names."""
    parts = [card.label, f"{card.norm} {in_255ths(card.epsilon)}"]
    if card.step_size is not None:
        parts.append(f"step {in_255ths(card.step_size)}")
    return ", ".join([*parts, f"seed {card.seed}"])
