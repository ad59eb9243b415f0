"""Scenarios to start from; each says only where it differs from the defaults."""

from dataclasses import dataclass
from typing import Any

from engine.scenario import Scenario


@dataclass(frozen=True)
class Preset:
    """A scenario with a title for the menu and a sentence that says what it is for."""

    title: str
    description: str
    changes: dict[str, Any]

    def scenario(self) -> Scenario:
        return Scenario.model_validate(self.changes)


_FASHION = {"dataset": "fashion-mnist"}

PRESETS = {
    "demo": Preset(
        "One-minute demo",
        "Digits with a fifth of the labels wrong: done in about a minute on two CPU cores.",
        {
            "name": "Demo: digits, noisy labels",
            "data": {"dataset": "digits", "noise": {"kind": "pair", "ratio": 0.2}},
            "threat": {"epsilon": "16/255", "num_steps": 5},
            "training": {"epochs": 15, "batch_size": 64},
        },
    ),
    "standard": Preset(
        "Clean and balanced",
        "The paper's standard setting: Fashion-MNIST as it is.",
        {"name": "Fashion, standard", "data": _FASHION},
    ),
    "noise": Preset(
        "20 % pair noise",
        "The paper's noisy setting: a fifth of each class carries the next class's label.",
        {
            "name": "Fashion, 20 % pair noise",
            "data": {**_FASHION, "noise": {"kind": "pair", "ratio": 0.2}},
        },
    ),
    "imbalance": Preset(
        "Imbalance 10",
        "The paper's imbalanced setting: the largest class has ten times the samples of the "
        "smallest.",
        {"name": "Fashion, imbalance 10", "data": {**_FASHION, "imbalance": {"factor": 10}}},
    ),
}
