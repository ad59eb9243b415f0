"""The evaluation card: the protocol behind a run's numbers, in words."""

from collections.abc import Mapping
from typing import Any

from db.reads.rows import RunDetail
from engine.evaluation.card import PIXELS
from engine.evaluation.error_names import NATURAL_ERROR
from engine.numbers import exactly, in_255ths


def ball(norm: str, epsilon: float) -> str:
    """Write a norm and a radius, which stand beside every robust number: ``linf 8/255``."""
    radius = in_255ths(epsilon)
    plain = exactly(epsilon)
    return f"{norm} {plain if norm == 'l2' and len(plain) <= len(radius) else radius}"


def threat_of(scenario: Mapping[str, Any], card: Mapping[str, Any] | None = None) -> str:
    """Return the ball in which errors were measured: of the card, else of the run's scenario.

    Nothing where neither tells it, as in what another version has stored.
    """
    if card and card.get("epsilon") is not None:
        return ball(str(card.get("norm", "linf")), float(card["epsilon"]))
    threat = scenario.get("threat") or {}
    radius = (scenario.get("evaluation") or {}).get("epsilon")
    radius = threat.get("epsilon") if radius is None else radius
    return "" if radius is None else ball(str(threat.get("norm", "linf")), float(radius))


def threat_in_training(scenario: Mapping[str, Any]) -> str:
    """Return the ball in which a scenario trains."""
    return threat_of({"threat": scenario.get("threat")})


def under(threat: str) -> str:
    """Write a ball behind the number that it belongs to: `` (linf 8/255)``."""
    return f" ({threat})" if threat else ""


def under_if_attacked(name: str, threat: str) -> str:
    """Write a ball behind an error; the natural one has none."""
    return "" if name == NATURAL_ERROR else under(threat)


def threat_of_run(run: RunDetail) -> str:
    """Return the ball in which a run's errors were measured."""
    return threat_of(run.scenario, run.evaluation_card if run.result_split == "test" else None)


def card_in_words(run: RunDetail, split: str) -> str:
    """Return one line that says how the errors on a split were measured."""
    if split == "test" and run.evaluation_card:
        return words_of(run.evaluation_card)
    evaluation = run.scenario.get("evaluation", {})
    steps = evaluation.get("val_num_steps" if split == "validation" else "num_steps")
    attack = f"{str(evaluation.get('attack', '')).upper()}-{steps}"
    return ", ".join(part for part in (attack, threat_of(run.scenario), split) if part)


def words_of(card: Mapping[str, Any]) -> str:
    """Return a stored card in one line."""
    if card.get("measured_by"):
        where = f"{card.get('split')}, n = {card.get('n'):,}"
        return (
            f"{card.get('label')}; {where}; imported: measured by {card['measured_by']}, not here"
        )
    restarts, step = card.get("restarts", 1), card.get("step_size")
    parts = [
        card.get("label") or f"{str(card.get('attack', '')).upper()}-{card.get('num_steps')}",
        f"{card.get('norm', 'linf')}, ε = {in_255ths(float(card.get('epsilon') or 0))}",
        "adaptive step" if step is None else f"step {in_255ths(float(step))}",
        f"{restarts} restart{'s' if restarts != 1 else ''}",
        f"{card.get('split')}, n = {card.get('n'):,}",
        f"checkpoint: {card.get('checkpoint')}",
        f"seed {card.get('seed')}",
    ]
    if "arithmetic" in card:
        parts.append(str(card["arithmetic"]))
    if card.get("space", PIXELS) != PIXELS:
        parts.append(f"not in pixels: {card['space']}")
    return "; ".join(parts)
