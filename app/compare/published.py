"""Class-wise results of CIFAR-10 as their authors printed them, to be read beside a study.

Threat model: l-infinity, 8/255. Each source has its own network, attack and choice of weights, so
that none of them stands in one ranking with another, or with a run of this program.
"""

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

PUBLISHED = ("natural_error", "worst_natural_error", "robust_error", "worst_robust_error")
"""What is printed; boundary errors of the worst class are not."""
CAAT = (
    "PGD, PreActResNet-18; the released evaluation attacks less than 8/255 in pixels "
    "(docs/results/audit.md)",
    "Zhou, Yang and Wu, AAAI 2023, main table",
)
CFA = ("AutoAttack, PreActResNet-18, best weights, five runs", "Wei et al., CVPR 2023, Table 1")
DAFA = (
    "AutoAttack, ResNet-18",
    "Lee et al., ICLR 2024, main table as their repository shows it",
)
FAAL = ("AutoAttack", "Zhang et al., 2024, logs of their repository")


@dataclass(frozen=True)
class Published:
    """One row of a paper.

    Attributes:
        method: What it is called here; empty where no method here is the same.
        title: What its authors call it.
        natural: Accuracy without an attack in percent, average and worst class.
        robust: Accuracy under attack in percent, average and worst class.
        source: Protocol, and where it is printed.
    """

    method: str
    title: str
    natural: tuple[float, float]
    robust: tuple[float, float]
    source: tuple[str, str]


RESULTS = (
    Published("pgd-at", "PGD-AT", (84.5, 66.2), (43.6, 17.3), CAAT),
    Published("trades", "TRADES 1", (85.4, 68.8), (42.3, 15.3), CAAT),
    Published("trades", "TRADES 6", (80.4, 60.9), (50.7, 22.4), CAAT),
    Published("reweight", "Baseline ReWeight", (80.8, 71.7), (41.8, 19.9), CAAT),
    Published("frl-reweight", "FRL ReWeight", (84.0, 77.5), (42.4, 26.7), CAAT),
    Published("frl-remargin", "FRL ReMargin", (83.1, 75.1), (48.1, 24.5), CAAT),
    Published("frl-reweight-remargin", "FRL ReWeight+ReMargin", (83.0, 73.2), (47.3, 30.5), CAAT),
    Published("caat", "CAAT Grad-Based", (85.4, 76.4), (71.4, 51.9), CAAT),
    Published("caat", "CAAT ReMargin", (86.1, 75.7), (70.7, 55.6), CAAT),
    Published("pgd-at", "AT", (82.3, 63.9), (46.7, 20.1), CFA),
    Published("pgd-at", "AT+EMA", (81.9, 61.6), (49.6, 21.3), CFA),
    Published("cfa", "AT+CFA", (80.8, 64.6), (50.1, 24.4), CFA),
    Published("trades", "TRADES 6", (82.3, 67.8), (48.3, 21.7), CFA),
    Published("trades", "TRADES+EMA", (81.2, 65.0), (49.7, 24.2), CFA),
    Published("cfa", "TRADES+CFA", (80.4, 66.2), (50.1, 26.5), CFA),
    Published("", "FAT", (84.6, 69.2), (45.7, 17.2), CFA),
    Published("", "FAT+CFA", (82.1, 64.7), (49.6, 20.9), CFA),
    Published("frl-reweight-remargin", "FRL", (82.8, 71.4), (45.9, 25.4), CFA),
    Published("frl-reweight-remargin", "FRL+EMA", (83.6, 69.5), (46.1, 25.6), CFA),
    Published("trades", "TRADES", (82.04, 65.70), (49.80, 21.31), DAFA),
    Published("frl-reweight-remargin", "FRL", (82.97, 71.94), (44.68, 25.84), DAFA),
    Published("cfa", "CFA", (79.81, 65.18), (50.78, 27.62), DAFA),
    Published("", "BAT", (87.16, 74.02), (45.89, 17.82), DAFA),
    Published("wat", "WAT", (80.97, 70.57), (46.30, 28.55), DAFA),
    Published("dafa", "DAFA", (81.63, 67.90), (49.05, 30.53), DAFA),
    Published("faal", "FAAL-AT from TRADES", (83.67, 71.8), (45.10, 28.8), FAAL),
    Published("faal", "FAAL-AT-AWP from PGD", (82.08, 66.9), (46.68, 30.1), FAAL),
    Published("faal", "FAAL-AT-AWP from TRADES", (83.26, 69.4), (47.62, 30.7), FAAL),
)


def published(methods: Collection[str]) -> pd.DataFrame:
    """Return every row as errors, shares of 1, those of the named methods first.

    Columns: title, those of `PUBLISHED`, protocol, source.
    """
    ordered = sorted(RESULTS, key=lambda row: row.method not in methods)
    return pd.DataFrame([_row(result) for result in ordered])


def _row(result: Published) -> dict[str, object]:
    errors = map(_error, (*result.natural, *result.robust))
    protocol, source = result.source
    named = dict(zip(PUBLISHED, errors, strict=True))
    return {"title": result.title, **named, "protocol": protocol, "source": source}


def _error(accuracy: float) -> float:
    """Return an accuracy in percent as an error, a share of 1, without the noise of subtraction."""
    return round(1 - accuracy / 100, 6)
