"""The runs of `benchmarks/method.py` that are stored, and what its searches found."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUNS = Path(__file__).resolve().parents[1] / "docs" / "results" / "method.jsonl"


def setting_of(run: dict[str, Any]) -> str:
    return json.dumps([run["fields"], run["training"]], sort_keys=True)


def stored() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RUNS.read_text().splitlines()] if RUNS.exists() else []


@dataclass(frozen=True)
class Chosen:
    """What a search found: the setting, its average + worst robust error, of how many settings."""

    fields: dict[str, Any]
    training: dict[str, Any]
    sum: float
    tried: int


def chosen(runs: Iterable[dict[str, Any]], scenario: str, row: str) -> Chosen | None:
    """Return the setting of least average + worst robust error on the search split."""
    sums: dict[str, list[float]] = {}
    for run in runs:
        if (run["stage"], run["scenario"], run["row"]) == ("search", scenario, row):
            found = run["found"]
            robust = found["robust_error"] + found["worst_robust_error"]
            sums.setdefault(setting_of(run), []).append(robust)
    if not sums:
        return None
    best = min(sums, key=lambda setting: statistics.mean(sums[setting]))
    return Chosen(*json.loads(best), sum=statistics.mean(sums[best]), tried=len(sums))
