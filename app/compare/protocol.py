"""When may two results stand in one ranking? The part of their cards that has to agree."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from engine.evaluation.card import FLOAT32, PIXELS
from engine.numbers import exactly, in_255ths

APART = ("method", "label", "seed", "versions")
"""Of a card, what two results of one protocol may differ in; the label repeats other entries."""

WORDS = {
    "norm": "threat model",
    "epsilon": "ε",
    "step_size": "step",
    "num_steps": "steps",
    "n": "images",
    "whole": "images of the whole split",
    "trained_norm": "norm in training",
    "trained_epsilon": "ε in training",
    "checkpoint": "weights",
}
UNTOLD = ("trained_norm", "trained_epsilon", "checkpoint")
"""Of a model that was trained elsewhere nobody here knows these: they make no other protocol."""
WITNESS = "measured_by"
"""Who measured what was imported: said of a result, and no difference between two protocols."""
DISTANCES = ("epsilon", "step_size", "trained_epsilon")
WEIGHTS = {"last": "last epoch", "best": "best on validation data"}
"""Of an evaluation's ``checkpoint``, in words."""

Protocol = Mapping[str, Any]


def protocol_of(
    card: Mapping[str, Any] | None, dataset: str, scenario: Mapping[str, Any]
) -> Protocol:
    """Return what has to be equal for two results to be compared; without a card, very little.

    Args:
        card: Of the test.
        dataset: Of the run.
        scenario: Of the run; it says which epoch's weights a test looks at.
    """
    if card is None:
        return {"dataset": dataset}
    same = {name: value for name, value in card.items() if name not in APART}
    if same.get("arithmetic") == FLOAT32:
        del same["arithmetic"]  # older cards do not say what all of them were meant to be
    if same.get("trained_norm", "") is None:
        told = {name: value for name, value in same.items() if name not in UNTOLD}
        return {"dataset": dataset, **told}
    if "checkpoint" in same:
        # The card names the epoch, which is a result; how it is chosen is the protocol.
        chosen = str((scenario.get("evaluation") or {}).get("checkpoint", "last"))
        same["checkpoint"] = WEIGHTS.get(chosen, chosen)
    return {"dataset": dataset, **same}


def digest_of(protocol: Protocol) -> str:
    """Return a short fingerprint that equal protocols share."""
    same = {name: value for name, value in protocol.items() if name != WITNESS}
    text = json.dumps(same, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def in_words(protocol: Protocol) -> str:
    """Say a protocol in one line."""
    if set(protocol) == {"dataset"}:
        return f"{protocol['dataset']}: protocol not recorded"
    steps, restarts = protocol.get("num_steps"), protocol.get("restarts", 1)
    attack = str(protocol.get("attack", "")).upper() + (f"-{steps}" if steps else "")
    parts = [
        attack if restarts == 1 else f"{attack} with {restarts} restarts",
        f"{protocol.get('norm', 'linf')}, ε = {_said('epsilon', protocol.get('epsilon'))}",
        f"{protocol.get('split', 'test')}, n = {protocol.get('n', 0):,}",
        str(protocol.get("checkpoint", "")),
        f"measured by {protocol[WITNESS]}, not here" if protocol.get(WITNESS) else "",
        "" if protocol.get("space", PIXELS) == PIXELS else f"not in pixels: {protocol['space']}",
    ]
    return f"{protocol['dataset']}: {', '.join(part for part in parts if part)}"


def differences(protocols: Sequence[Protocol]) -> list[str]:
    """Say each thing in which protocols differ: ``ε: 8/255 or 16/255``."""
    names = dict.fromkeys(name for one in protocols for name in one if name != WITNESS)
    told = []
    for name in names:
        telling = [one for one in protocols if name in one or not _is_foreign(one)]
        values = list(dict.fromkeys(_known(name, protocol.get(name)) for protocol in telling))
        if len(values) > 1:
            said = _apart(name, values)
            told.append(f"{WORDS.get(name, name.replace('_', ' '))}: {' or '.join(said)}")
    return told


def _is_foreign(protocol: Protocol) -> bool:
    """Tell whether a result is of a model that was trained elsewhere, or was measured there."""
    return "attack" in protocol and not protocol.keys() & set(UNTOLD)


def _known(name: str, value: Any) -> Any:
    """Return an entry as it is compared: a distance by its value, never by its words."""
    if name in DISTANCES:
        return None if value is None else float(value)
    return _said(name, value)


def _apart(name: str, values: Sequence[Any]) -> list[str]:
    """Say values that differ so that their words do, digit by digit where they must."""
    said = [_said(name, value) for value in values]
    return [
        exactly(value) if isinstance(value, float) and said.count(words) > 1 else words
        for value, words in zip(values, said, strict=True)
    ]


def _said(name: str, value: Any) -> str:
    if value is None:
        return "not told"
    return in_255ths(float(value)) if name in DISTANCES else str(value)
