"""What a policy has learned about single samples, read off one epoch."""

import torch

from engine.inspection.importance import permutation_importance
from engine.inspection.label_noise import BY_STEPS, detection, separation
from engine.methods.base import Method
from engine.types import Columns, DeviceImages, ImageSet


def learned(
    method: Method, train: ImageSet, images: DeviceImages, *, columns: Columns, rng: torch.Generator
) -> dict[str, float]:
    """Return every measure of a policy that reads the samples' characteristics.

    Of another only how well its samples' steps tell wrong labels, where they were counted.

    Args:
        method: The policy as the epoch left it.
        train: The training samples.
        images: The same on the device.
        columns: What the epoch recorded of each sample, (N,) each.
        rng: Draws the samples and their permutations, on the device.
    """
    flipped = train.labels != train.true_labels
    if not method.objective.characteristics:
        return detection(columns, flipped, BY_STEPS)
    measures = separation(
        columns,
        flipped,
        train.labels,
        has_anti=method.objective.anti_adversary,
        told=method.told_by,
    )
    return measures | permutation_importance(method, images, columns, rng=rng)
