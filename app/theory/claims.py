"""What is claimed about signed bounds, each with where it starts and what holds of it.

A claim's rows and checks are worked out at the parameters in force, so that what is said about it
can be tried elsewhere; its own parameters are where it starts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from app.theory import checks
from app.theory.checks import Check, Rows, Solutions
from engine.theory.mixture import Setting


@dataclass(frozen=True)
class Claim:
    """One claim and its honest status.

    Attributes:
        title: For the menu.
        says: The claim in one sentence.
        status, color: What holds of it, in short.
        limits: Where it holds and where it does not.
        start: The parameters that its button sets.
        rows: From the parameters in force to the ways to train that are compared.
        checks: From their solutions to what holds.
    """

    title: str
    says: str
    status: str
    color: Literal["green", "orange", "blue"]
    limits: str
    start: Setting
    rows: Callable[[Setting], Rows]
    checks: Callable[[Solutions], list[Check]]


CLAIMS = {
    "hard-class": Claim(
        "1 Hard class",
        "The harder class has the larger error under natural training.",
        "Holds with both losses",
        "green",
        "With the 0-1 loss it holds, where there is a boundary at all, exactly as long as the hard "
        "class is less than K times as common as the easy one.",
        Setting(),
        checks.corners,
        checks.the_hard_class_pays,
    ),
    "uniform": Claim(
        "2 Uniform adversaries",
        "The same adversarial bound on both classes enlarges the natural gap and hurts the hard "
        "class.",
        "Holds with both losses",
        "green",
        "This is the price of standard adversarial training. Change the loss to logistic and look "
        "again.",
        Setting(rho_plus=0.1, rho_minus=0.1),
        checks.corners,
        checks.uniform_hurts,
    ),
    "mixing": Claim(
        "3 Mixing",
        "An adversary on the hard class and an anti-adversary on the easy one make training fair.",
        "Holds in part, at a cost",
        "orange",
        "Fairness is never free here: b is the only freedom, so with balanced classes a smaller "
        "gap costs average error. Equal bounds overshoot, in robust error and with the logistic "
        "loss; they have to be tuned, which is the argument for bounds that vary.",
        Setting(rho_plus=0.1, rho_minus=-0.1),
        checks.corners,
        checks.mixing_helps,
    ),
    "opposite": Claim(
        "4 The opposite",
        "The opposite assignment, anti-adversaries on the hard class, makes training less fair.",
        "Holds with both losses",
        "green",
        "So the direction of each class's perturbation matters, not only its size.",
        Setting(rho_plus=-0.1, rho_minus=0.1),
        checks.corners,
        checks.the_opposite_hurts,
    ),
    "imbalance": Claim(
        "5 Imbalance",
        "With imbalanced classes, an adversary on the rarer class and an anti-adversary on the "
        "other improve the gap and both average errors at once.",
        "Holds: the strongest case",
        "green",
        "Averages count both classes alike. Weighted by the imbalanced priors, natural training "
        "with the 0-1 loss has the smallest natural error by construction.",
        Setting(k=1, prior_ratio=0.1, rho_plus=0.1, rho_minus=-0.1),
        checks.for_the_rarer,
        checks.the_rarer_class_gains,
    ),
    "noise": Claim(
        "6 Label noise",
        "With wrong labels, anti-adversaries on the wrongly labelled samples beat uniform "
        "adversaries in both average errors.",
        "Holds with the logistic loss only",
        "orange",
        "It supposes that training knows which labels are wrong. With the 0-1 loss an "
        "anti-adversary on a wrong label can hurt, as it moves the sample to where that loss "
        "changes most; so this is always worked out with the logistic loss.",
        Setting(
            k=1,
            loss="logistic",
            noise_plus=0.3,
            rho_plus=0.1,
            rho_minus=0.1,
            rho_flipped_plus=-0.1,
            rho_flipped_minus=-0.1,
        ),
        checks.noisy,
        checks.noise_is_tamed,
    ),
    "frl-cfa": Claim(
        "FRL and CFA",
        "FRL ReMargin gives the hard class a larger bound, CFA a smaller one.",
        "Opposite moves of the same boundary",
        "blue",
        "Both are published as ways to fairness. In separated data the larger bound helps the hard "
        "class; when the classes overlap (try eta = 0.15) the direction turns round.",
        Setting(rho_plus=0.15, rho_minus=0.1),
        checks.frl_and_cfa,
        checks.they_move_apart,
    ),
    "levers": Claim(
        "Two levers",
        "Under strong imbalance an adversary on the hard, rare class hardly moves the boundary; "
        "the anti-adversary on the common class does nearly all the work.",
        "Holds with the 0-1 loss, where + is rare",
        "green",
        "A larger bound on the hard class moves b up only while "
        "(a+ + a-)^2 > 2 sigma^2 ln(K/r), with a = sqrt(d) (eta - rho): rarity weakens it. "
        "With the logistic loss it moves b down.",
        Setting(prior_ratio=0.1, rho_plus=0.1, rho_minus=-0.1),
        checks.levers,
        checks.anti_does_the_work,
    ),
    "restored": Claim(
        "Balance restored",
        "With equally spread classes and imbalance 1:V, opposite bounds of size "
        "sigma^2 ln(V) / (2 d eta) undo the imbalance exactly.",
        "Holds exactly with both losses",
        "green",
        "As long as that size is at most eta. With K > 1 the bounds for equal errors stand below "
        "the answer.",
        Setting(k=1, prior_ratio=0.1, rho_plus=0.191882, rho_minus=-0.191882),
        checks.restoring,
        checks.balance_is_restored,
    ),
}
"""The six claims of the paper and its theory, and three notes, by their names in links."""
