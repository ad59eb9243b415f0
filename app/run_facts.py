"""What a run's trainer found and the protocol of its numbers, as names and values in words."""

from collections.abc import Mapping
from typing import Any

from app.scenario_file import in_words
from app.words import NOTHING, percent
from db.rows import RunDetail


def fact_rows(run: RunDetail) -> dict[str, str]:
    """Return sizes, device, digests and versions; nothing before the trainer has told them."""
    facts = run.facts
    if not facts:
        return {}
    flipped = facts.get("flipped_labels")
    share = percent(flipped / facts["num_train"]) if flipped and facts.get("num_train") else ""
    rows = {
        "Training images": _number(facts.get("num_train")),
        "Wrong labels among them": f"{_number(flipped)} {f'({share})' if share else ''}".strip(),
        "Validation images": _number(facts.get("num_validation")),
        "Meta images": _number(facts.get("num_meta")),
        "Test images": _number(facts.get("num_test")),
        "Parameters": _number(facts.get("num_parameters")),
        "Steps per epoch": _number(facts.get("steps_per_epoch")),
        "Device": str(facts.get("device", NOTHING)),
        "CPU threads": _number(facts.get("num_threads")),
        "Precision": str(facts.get("precision", NOTHING)),
        "Memory format": str(facts.get("memory_format", NOTHING)).replace("_", " "),
        "Data digest": str(facts.get("data_digest", NOTHING))[:16],
        "Scenario digest": run.scenario_digest[:16],
    }
    return rows | {
        f"Version of {name}": text for name, text in (facts.get("versions") or {}).items()
    }


def card_rows(card: Mapping[str, Any]) -> dict[str, str]:
    """Return an evaluation card's entries; its versions stand with the facts."""
    return {
        key.replace("_", " ").capitalize(): in_words(key, value)
        for key, value in card.items()
        if value is not None and not isinstance(value, Mapping)
    }


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else NOTHING
