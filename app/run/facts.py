"""What a run's trainer found and the protocol of its numbers, as names and values in words."""

from collections.abc import Mapping
from typing import Any

from app.scenario.toml_out import in_words
from app.text.format import NOTHING, percent
from db.models import AUDIT, TRAINING
from db.reads.rows import RunDetail
from engine.numbers import in_255ths

RELEASED_META_SHARE = 3000 / 47_000
"""300 meta images of each CIFAR-10 class, and the 4,700 others that train."""


def shown(run: RunDetail) -> Mapping[str, Any]:
    """Return the settings of a run that decided anything: nothing here trained an audited model."""
    if run.kind == TRAINING:
        return run.scenario
    told = run.scenario.get("threat") or {}
    threat = {name: told[name] for name in ("norm", "epsilon") if name in told}
    known = {"dataset": run.dataset, "threat": threat}
    about = run.request or {}
    if run.kind != AUDIT:
        return {**known, "imported": about}
    origin, attack = about.get("origin") or {}, about.get("evaluation") or {}
    return {**known, "model": run.scenario["model"], **_named(origin, attack)}


def _named(origin: Mapping[str, Any], attack: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in attack.items() if value not in (None, False, {})}
    return {"weights": dict(origin), "audit": told}


def fact_rows(run: RunDetail) -> dict[str, str]:
    """Return sizes, device, digests and versions; nothing before the trainer has told them."""
    facts = run.facts
    if not facts:
        return {}
    flipped = facts.get("flipped_labels")
    share = percent(flipped / facts["num_train"]) if flipped and facts.get("num_train") else ""
    rows = {
        **realised_rows(facts.get("realised") or {}),
        "Training images": _number(facts.get("num_train")),
        "Wrong labels among them": f"{_number(flipped)} {f'({share})' if share else ''}".strip(),
        "Validation images": _number(facts.get("num_validation")),
        "Meta images": _number(facts.get("num_meta")),
        "Test images": _number(facts.get("num_test")),
        "Parameters": _number(facts.get("num_parameters")),
        "Steps per epoch": _number(facts.get("steps_per_epoch")),
        "Start weights": str(facts.get("start_weights") or "the seed's")[:16],
        "Device": str(facts.get("device", NOTHING)),
        "CPU threads": _number(facts.get("num_threads")),
        "Precision": str(facts.get("precision", NOTHING)),
        "Memory format": str(facts.get("memory_format", NOTHING)).replace("_", " "),
        "Data digest": str(facts.get("data_digest", NOTHING))[:16],
        "Scenario digest": run.scenario_digest[:16],
    }
    if run.kind != TRAINING:  # what only a training has is not told
        untold = (NOTHING, "", "the seed's")
        rows = {name: text for name, text in rows.items() if text not in untold}
    return rows | {
        f"Version of {name}": text for name, text in (facts.get("versions") or {}).items()
    }


def realised_rows(found: Mapping[str, Any]) -> dict[str, str]:
    """Return what a scenario's fields lead to together (`engine.realised`), in words."""
    words = {
        "Threat in training": _ball(found, "epsilon", "step_size"),
        "Attack on test data": _ball(found, "evaluation_epsilon", "evaluation_step_size"),
        "Attack on validation data": _ball(found, "evaluation_epsilon", "validation_step_size"),
        "Largest class over smallest": _factor(found.get("imbalance_factor")),
        "Images in the smallest class": _number(found.get("smallest_class")),
        "Meta set over training images": _share(found.get("meta_share")),
        "Images per step": _number(found.get("images_per_step")),
        "Learning rate falls after": _epochs(found.get("learning_rate_drops")),
        "Meta images per meta step": _number(found.get("meta_batch_size")),
        "Meta steps per epoch": _number(found.get("meta_steps_per_epoch")),
        **{
            f"{field.replace('_', ' ').capitalize()}": _begins(found[f"{field}_epoch"])
            for field in ("fairness_from", "average_from", "warm_up")
            if f"{field}_epoch" in found
        },
    }
    return {name: text for name, text in words.items() if text != NOTHING}


def _ball(found: Mapping[str, Any], radius: str, step: str) -> str:
    if radius not in found or step not in found:
        return NOTHING
    lengths = in_255ths(found[radius]), in_255ths(found[step])
    return "{}, radius {}, step {}".format(found.get("norm", "linf"), *lengths)


def _factor(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else NOTHING


def _share(value: Any) -> str:
    if not isinstance(value, float):
        return NOTHING
    return f"{percent(value)} ({percent(RELEASED_META_SHARE)} as released)"


def _epochs(drops: Any) -> str:
    if not isinstance(drops, list):
        return NOTHING
    told = ["never" if epoch is None else f"epoch {epoch}" for epoch in drops]
    return ", ".join(told) or "never"


def _begins(epoch: Any) -> str:
    return "never, the run is too short" if epoch is None else f"epoch {epoch}"


def card_rows(card: Mapping[str, Any]) -> dict[str, str]:
    """Return an evaluation card's entries; its versions stand with the facts."""
    return {
        key.replace("_", " ").capitalize(): in_words(key, value)
        for key, value in card.items()
        if value is not None and not isinstance(value, Mapping)
    }


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else NOTHING
