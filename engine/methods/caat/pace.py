"""In what the two protocols of CAAT differ."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How fast a protocol learns: the fields that are empty unless a scenario says."""

    temperature: float
    meta_every: int
    meta_lr: float
    fairness_from: float


PACES = {
    "corrected": Pace(temperature=1.0, meta_every=4, meta_lr=0.01, fairness_from=0.25),
    "as-released": Pace(temperature=0.001, meta_every=50, meta_lr=1e-4, fairness_from=0.0),
}

ONE_WAY = (
    "bounds",
    "copies",
    "normalise",
    "meta_num_steps",
    "meta_objective",
    "meta_batch_norm",
    "prices",
    "normalise_prices",
    "shrink",
    "crowd",
    "influence",
    "strength",
)
"""Fields that have no effect as released, where the code has one way only."""
