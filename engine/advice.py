"""What is said of a scenario that may be run, but may not give what its owner expects."""

import math

from engine.scenario import Scenario

FEW = 100
"""Validation images per class below which their errors are a poor guide."""


def advice(scenario: Scenario) -> list[str]:
    """Return a line for each thing to know before a launch: field, number, and what to do."""
    n = scenario.data.held_out.validation
    if not scenario.method.steers or n >= FEW:
        return []
    return [
        f"data.val_per_class: {scenario.method.label} steers by the errors on {n} validation "
        f"images per class, each error with a standard deviation of up to "
        f"{standard_deviation(n):.3f}; {FEW} have {standard_deviation(FEW):.3f}, 300 have "
        f"{standard_deviation(300):.3f}"
    ]


def standard_deviation(n: int) -> float:
    """Return the largest standard deviation of a share measured on n images: that of p = 1/2."""
    return math.sqrt(0.25 / n)
