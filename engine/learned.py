"""What a policy has learned about single samples, read off one epoch: to look at, never to train.

Whether its weights tell wrong labels from right ones is known only where noise was injected.
"""

import torch
from torch import Tensor

from engine.characteristics import NAMES, Characteristics
from engine.method import Method
from engine.summary import ANTI_ADVERSARY_FROM
from engine.types import Columns, DeviceImages, ImageSet

MAX_SAMPLES = 2048
"""The importance of the characteristics is measured on so many samples at most."""


def learned(
    method: Method, train: ImageSet, images: DeviceImages, columns: Columns, rng: torch.Generator
) -> dict[str, float]:
    """Return every measure of a policy that reads the samples' characteristics; none of another.

    Args:
        method: The policy as the epoch left it.
        train: The training samples.
        images: The same on the device.
        columns: What the epoch recorded of each sample, (N,) each.
        rng: Draws the samples and their permutations, on the device.
    """
    if not method.objective.characteristics:
        return {}
    measures = _separation(method, train, columns)
    return measures | permutation_importance(method, images, columns, rng)


def _separation(method: Method, train: ImageSet, columns: Columns) -> dict[str, float]:
    """Return shares and means by right and wrong label, and how well the weights part the two.

    ``flipped_auc`` is the ROC AUC of "a sample trusted less has a wrong label", 0 to 1, 0.5 for a
    guess: less trusted is a larger anti-adversary weight, or a smaller clean weight where there are
    no anti-adversaries. ``flipped_auc_loss`` is that of the clean loss, for comparison.
    """
    weight = columns["anti_adversary_weight"]
    has_anti = method.objective.anti_adversary
    measures = {"anti_adversary_share": (weight > ANTI_ADVERSARY_FROM).mean()} if has_anti else {}
    flipped = train.labels != train.true_labels
    if flipped.any() and not flipped.all():
        from sklearn.metrics import roc_auc_score  # slow to load, and only needed here

        doubt = weight if has_anti else -columns["clean_weight"]
        measures["flipped_auc"] = roc_auc_score(flipped, doubt)
        measures["flipped_auc_loss"] = roc_auc_score(flipped, columns["loss"])
        for group, members in (("clean", ~flipped), ("flipped", flipped)) if has_anti else ():
            share = (weight[members] > ANTI_ADVERSARY_FROM).mean()
            measures[f"anti_adversary_share_{group}"] = share
            measures[f"anti_adversary_weight_{group}"] = weight[members].mean()
    return {name: float(value) for name, value in measures.items()}


def permutation_importance(
    method: Method, images: DeviceImages, columns: Columns, rng: torch.Generator
) -> dict[str, float]:
    """Return how far the weights move when one characteristic changes hands (Breiman 2001).

    For each of the six: the mean over samples of |change of c| + |change of a| + |change of b|
    when its values are permuted among the samples and the other five stay. 0 means that the policy
    does not read it, or that all samples have the same.
    """
    chosen = torch.randperm(len(images), generator=rng, device=rng.device)[:MAX_SAMPLES]
    batch = images.batch(chosen)
    values = {name: torch.from_numpy(columns[name]).to(chosen.device)[chosen] for name in NAMES}
    shuffle = torch.randperm(len(chosen), generator=rng, device=rng.device)

    def weights(**changed: Tensor) -> Tensor:
        return method.assign(batch, Characteristics(**(values | changed))).weights

    before = weights()
    return {
        f"importance_{name}": (weights(**{name: value[shuffle]}) - before)
        .abs()
        .sum(dim=1)
        .mean()
        .item()
        for name, value in values.items()
    }
