"""The evaluation card: the protocol behind a run's numbers, in words."""

from collections.abc import Mapping
from typing import Any

from db.rows import RunDetail
from engine.card import PIXELS
from engine.section import in_255ths


def card_in_words(run: RunDetail, split: str) -> str:
    """Return one line that says how the errors on a split were measured."""
    if split == "test" and run.evaluation_card:
        return words_of(run.evaluation_card)
    evaluation = run.scenario.get("evaluation", {})
    radius = evaluation.get("epsilon")
    if radius is None:
        radius = run.scenario.get("threat", {}).get("epsilon", 0.0)
    steps = evaluation.get("val_num_steps" if split == "validation" else "num_steps")
    return f"{str(evaluation.get('attack', '')).upper()}-{steps}, ε = {in_255ths(radius)}, {split}"


def words_of(card: Mapping[str, Any]) -> str:
    """Return a stored card in one line."""
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
