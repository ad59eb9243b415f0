"""In which settings runs differ, and which of these make their results no comparison."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from engine.numbers import in_255ths

NOT_SET = "–"  # noqa: RUF001 - what an empty cell shows everywhere
IDENTITY = ("name", "seed")
"""What runs may always differ in."""
DECIDING = {
    "data.dataset": "dataset",
    "training.epochs": "epochs",
    "threat.norm": "norm",
    "threat.epsilon": "radius",
    "evaluation.attack": "attack of the test",
    "evaluation.num_steps": "steps of the test's attack",
    "evaluation.epsilon": "radius of the test",
    "evaluation.restarts": "restarts of the test's attack",
    "evaluation.checkpoint": "epoch that is tested",
}
"""Path of a setting -> its word: runs that differ in one were not trained or tested alike."""


def flat(scenario: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return the settings of a scenario by their paths: ``method.beta`` -> 6.0."""
    found: dict[str, Any] = {}
    for name, value in scenario.items():
        path = f"{before}{name}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{path}.")
        else:
            found[path] = value
    return found


def settings_table(
    scenarios: Mapping[str, Mapping[str, Any]], *, all_of_them: bool
) -> pd.DataFrame:
    """Return a row per setting and a column per run, in the order of a scenario's file.

    Args:
        scenarios: What a run is called -> its scenario.
        all_of_them: Whether settings in which all runs agree are among the rows.
    """
    known = {title: flat(scenario) for title, scenario in scenarios.items()}
    paths = list(dict.fromkeys(path for settings in known.values() for path in settings))
    rows = []
    for path in paths:
        values = [settings.get(path) for settings in known.values()]
        there = [path in settings for settings in known.values()]
        if (
            all_of_them
            or len({(have, repr(value)) for have, value in zip(there, values, strict=True)}) > 1
        ):
            said = [
                said_of(path, value) if have else NOT_SET
                for have, value in zip(there, values, strict=True)
            ]
            rows.append([path, *said])
    return pd.DataFrame(rows, columns=["setting", *known])


def not_alike(scenarios: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say each setting for which results are no comparison: ``epochs: 10 or 30``."""
    known = [flat(scenario) for scenario in scenarios]
    told = []
    for path, word in DECIDING.items():
        said = list(dict.fromkeys(said_of(path, settings.get(path)) for settings in known))
        if len(said) > 1:
            told.append(f"{word}: {' or '.join(said)}")
    return told


def said_of(path: str, value: Any) -> str:
    """Say the value of a setting in a table's cell."""
    if value is None:
        return "by default"
    if path.endswith("epsilon") and isinstance(value, int | float):
        return in_255ths(float(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
