"""``caat evaluate``: look at a trained model under any protocol, and store what was said."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from db.evaluations import NewEvaluation, write_evaluation
from db.session import Database
from db.writes import transitions
from engine.attacks.base import EvaluationAttack, Parts
from engine.errors import UserError
from engine.evaluation.card import EvaluationCard, card_of
from engine.evaluation.error_names import ROBUST_ERROR
from engine.evaluation.evaluate import Outcomes
from engine.evaluation.masking import MaskingConfig, masking_checks, num_looks, white_box
from engine.evaluation.released import card_as_released, examine_as_released
from engine.evaluation.statistics import class_counts, errors_by_class
from engine.evaluation.suite import Assessment, Suite
from engine.numbers import in_255ths
from engine.perturbation.norms import BALLS
from engine.perturbation.threat import ThreatConfig
from engine.types import IntArray
from tasks.results.metrics import metrics_in_full
from tasks.results.request import EvaluationRequest as EvaluationRequest
from tasks.results.request import attack_asked, sample_asked
from tasks.results.trained import Trained, load_trained

CURVE = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Radii of a security curve, in those of the attack; at 0 stands the natural error."""


def evaluate(database: Database, run_id: str, request: EvaluationRequest) -> dict[str, Any]:
    """Evaluate a run that has ended, store it, and return what ``caat evaluate --json`` prints.

    Raises:
        UserError: The run, the attack or the subset does not work; nothing is stored.
    """
    trained = load_trained(database, run_id)
    looks = Looks(trained, request)
    found = looks.found()
    with database.write() as session:
        store(session, trained, found)
    told = {kind: _told(new, trained) for kind, new in found.items()}
    return {"run_id": run_id, **told.pop("pixel"), **told}


def store(session: Session, trained: Trained, found: Mapping[str, NewEvaluation]) -> None:
    """Store what was found of a run, unless it is another one by now.

    Raises:
        UserError: It was resumed or deleted.
    """
    run_id, attempt = trained.run.id, trained.run.attempt
    if not transitions.ended_with(session, run_id, attempt):
        raise UserError(f"RUN: {run_id} was resumed or deleted meanwhile; nothing is stored")
    for new in found.values():
        write_evaluation(session, run_id, attempt, new=new)


class Looks:
    """Every look at a trained model that a request asks for."""

    def __init__(
        self,
        trained: Trained,
        request: EvaluationRequest,
        *,
        check: Callable[[], None] = lambda: None,
        parts: Parts | None = None,
    ) -> None:
        """Prepare them.

        Args:
            trained: The model and its data.
            request: What is asked for.
            check: Called often; may raise to stop.
            parts: What an earlier process may have found of the same.

        Raises:
            UserError: The attack or the subset does not work.
        """
        self.trained, self.request = trained, request
        self.attack = attack_asked(trained.scenario, request)
        self.suite = Suite(
            model=trained.model,
            subject=trained.subject(),
            sample=sample_asked(trained.scenario, request),
            device=trained.device,
            check=check,
            parts=parts or Parts(),
        )

    def num_images(self) -> int:
        """Return how many images all looks together look at.

        Raises:
            UserError: There is no such subset.
        """
        return self.num_looks() * len(self.suite.index())

    def num_looks(self) -> int:
        """Return how often the images are looked at."""
        number = 1 + self.request.as_released
        if self.request.curve:
            number += len(_radii(self.suite, self.attack))
        if self.request.masking:
            number += num_looks(self.suite, *_masking_in(self.attack))
        return number

    def found(self) -> dict[str, NewEvaluation]:
        """Look, and return what is to be stored, the attack's own evaluation as ``pixel``.

        Raises:
            UserError: The radius or the attack does not fit the images or the model, or the
                attack's package is missing.
        """
        suite, attack = self.suite, self.attack
        with self.trained.model.in_float32():
            first = suite.assess(attack)
            found = {"pixel": _attacked(first.card, first.outcomes, suite, index=first.index)}
            if self.request.as_released:
                found["as_released"] = _as_released(self.trained, suite, first.index)
            if self.request.curve:
                found["curve"] = _curve(suite, attack, first)
            if self.request.masking:
                found["masking"] = _masking(suite, attack, first.card.n)
        return found


def _told(new: NewEvaluation, trained: Trained) -> dict[str, Any]:
    told = {"name": new.name, "evaluation_card": new.card}
    if new.outcomes is None:
        return told | {"findings": new.findings}
    return told | {"metrics": metrics_in_full(new.outcomes, trained.data.class_names)}


def _attacked(
    card: EvaluationCard, outcomes: Outcomes, suite: Suite, *, index: IntArray
) -> NewEvaluation:
    columns = outcomes.columns(suite.subject.images.take(index))
    return NewEvaluation(_name(card), "attack", card.n, card.as_json(), outcomes=columns)


def _as_released(trained: Trained, suite: Suite, index: IntArray) -> NewEvaluation:
    """Look at the same images under the released code's protocol."""
    conditions, images = suite.conditions, suite.subject.images.take(index)
    outcomes = examine_as_released(trained.model, images, conditions, device=trained.device)
    card = card_as_released(trained.model, suite.subject, conditions, n=len(index))
    return _attacked(card, outcomes, suite, index=index)


def _curve(suite: Suite, attack: EvaluationAttack, first: Assessment) -> NewEvaluation:
    """Count robust errors per class at several radii, on the same images."""
    subject, found, radii = suite.subject, first.outcomes, _radii(suite, attack)
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


def _radii(suite: Suite, attack: EvaluationAttack) -> list[float]:
    widest = BALLS[attack.norm].widest(suite.subject.images.images[0].size)
    return sorted({min(share * attack.epsilon, widest) for share in CURVE})


def _robust(found: Outcomes, num_classes: int) -> IntArray:
    wrong = errors_by_class(found.label, found.clean, found.attacked, num_classes=num_classes)
    return wrong[ROBUST_ERROR]


def _masking(suite: Suite, attack: EvaluationAttack, n: int) -> NewEvaluation:
    """Make the checks in the ball of the attack; their card is that of their PGD."""
    threat, config = _masking_in(attack)
    checks = [asdict(finding) for finding in masking_checks(suite, threat, config)]
    card = card_of(white_box(threat, config), suite.subject, suite.conditions, n=n)
    findings = {"checks": checks, "config": config.model_dump()}
    return NewEvaluation(f"masking: {_name(card)}", "masking", n, card.as_json(), findings)


def _masking_in(attack: EvaluationAttack) -> tuple[ThreatConfig, MaskingConfig]:
    return ThreatConfig(norm=attack.norm, epsilon=attack.epsilon), MaskingConfig()


def _name(card: EvaluationCard) -> str:
    """Return the protocol in words; equal protocols have equal names."""
    parts = [card.label, f"{card.norm} {in_255ths(card.epsilon)}"]
    if card.step_size is not None:
        parts.append(f"step {in_255ths(card.step_size)}")
    return ", ".join([*parts, f"seed {card.seed}"])
