"""Some training samples with their adversary and anti-adversary, as a person can look at them."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.methods.base import Learner
from engine.models.modes import eval_mode
from engine.objective import Objective
from engine.seeds import numpy_stream
from engine.types import Columns, DeviceImages, ImageSet, IntArray, rows_by_class

PER_CLASS = 8
LARGEST = "largest anti-adversary weight of its class"
SMALLEST = "smallest anti-adversary weight of its class"
MOST = 160
"""Samples in a gallery, whatever the number of classes."""


def choose(
    columns: Columns, labels: IntArray, num_classes: int, *, seed: int
) -> tuple[IntArray, list[str]]:
    """Choose up to eight samples of each given label, and say why each was chosen.

    The extremes of the anti-adversary weight, and samples drawn once for the whole run.
    """
    rng = numpy_stream(seed, "gallery")
    orders = [rng.permutation(rows) for rows in rows_by_class(labels, num_classes)]
    per_class = max(1, min(PER_CLASS, MOST // num_classes))
    weight = columns["anti_adversary_weight"]
    chosen: dict[int, str] = {}
    for order in orders[:MOST]:
        if len(order) and np.ptp(weight[order]) > 0:
            by_weight = order[np.argsort(weight[order], kind="stable")]
            num_extreme = min(per_class // 3, len(order) // 2)  # nobody is both
            chosen |= dict.fromkeys(by_weight[::-1][:num_extreme].tolist(), LARGEST)
            chosen |= dict.fromkeys(by_weight[:num_extreme].tolist(), SMALLEST)
        others = [row for row in order.tolist() if row not in chosen]
        already = sum(row in chosen for row in order.tolist())
        chosen |= dict.fromkeys(others[: per_class - already], "drawn at random")
    rows = np.array(sorted(chosen), dtype=np.int64)
    return rows, [chosen[row] for row in rows.tolist()]


def gallery(
    learner: Learner,
    objective: Objective,
    train: ImageSet,
    *,
    on_device: DeviceImages,
    columns: Columns,
) -> Columns:
    """Make both copies of chosen samples with the model as it stands, inside each sample's bound.

    Returns:
        Arrays over the chosen samples: ``sample``, ``given_label``, ``true_label``,
        ``chosen_for``, the predictions and the given label's probability on the three images,
        the assignment, ``image`` (n, channels, h, w) uint8, and ``adversary_delta`` and
        ``anti_adversary_delta`` (n, channels, h, w) float16 in pixels.
    """
    rows, reasons = choose(columns, train.labels, learner.num_classes, seed=learner.seed)
    batch = on_device.batch(torch.from_numpy(rows).to(learner.device))
    both = replace(objective, adversary=True, anti_adversary=True)
    bound = torch.from_numpy(columns["bound"][rows]).to(learner.device)
    # After an epoch without an attack every ball is empty: nothing is walked then.
    attack = learner.attack if columns["bound"][rows].any() else replace(learner.attack, share=0.0)
    copies = attack(batch, learner.log_probabilities(batch.x), bound, objective=both)
    assert copies.adversary is not None
    assert copies.anti_adversary is not None
    found: Columns = {
        "sample": train.source[rows],
        "given_label": train.labels[rows],
        "true_label": train.true_labels[rows],
        "chosen_for": np.array(reasons),
        "image": train.images[rows],
        "adversary_delta": _half(copies.adversary - batch.x),
        "anti_adversary_delta": _half(copies.anti_adversary - batch.x),
    }
    found |= {
        name: columns[name][rows] for name in ("adversary_weight", "anti_adversary_weight", "bound")
    }
    views = {"": batch.x, "adversary_": copies.adversary, "anti_adversary_": copies.anti_adversary}
    for prefix, x in views.items():
        with torch.no_grad(), eval_mode(learner.model):
            p = learner.model(x).softmax(dim=1)
        found[f"{prefix}prediction"] = p.argmax(dim=1).cpu().numpy()
        found[f"{prefix}probability"] = p.gather(1, batch.y[:, None]).squeeze(1).cpu().numpy()
    return found


def _half(delta: Tensor) -> npt.NDArray[np.float16]:
    return delta.cpu().numpy().astype(np.float16)
