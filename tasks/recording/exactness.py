"""Is a resumed run still the run that it was, bit by bit? What decides a number's last bit."""

from collections.abc import Iterator, Mapping
from typing import Any

NOT_EXACT = "not_exact"
"""Where a run's facts keep what differed at its resumptions, in words."""

_DECISIVE = {
    "num_threads": "threads",
    "device": "device",
    "device_name": "processor",
    "cpu_capability": "CPU capability",
    "precision": "precision",
    "memory_format": "memory format",
    "torch": "torch",
}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between the facts of two attempts, as in ``threads 2 -> 4``."""
    old, new = dict(_decisive(before)), dict(_decisive(now))
    return [
        f"{_DECISIVE[name]} {old[name]} -> {value}"
        for name, value in new.items()
        if name in old and old[name] != value
    ]


def label(found: list[str]) -> str:
    """Return the words for a run that went on under other conditions."""
    return f"Resumed, not bit-exact ({', '.join(found)})"


def _decisive(facts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    known = {**facts, "torch": (facts.get("versions") or {}).get("torch")}
    return ((name, known[name]) for name in _DECISIVE if known.get(name) is not None)
