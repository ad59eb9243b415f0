"""What a trainer writes of a run: ten classes, of which the last is the worst, and 200 samples."""

from typing import Any

import numpy as np

from db.writes.records import NUM_QUANTILES, ClassMetricRow, ClassSummaryRow, MetricRow

NAMES = [f"class {letter}" for letter in "abcdefghij"]
STEPS = 10


def facts() -> dict[str, Any]:
    return {
        "class_names": NAMES,
        "class_counts": [20] * 10,
        "true_class_counts": [20] * 10,
        "num_train": 200,
        "num_meta": 100,
        "num_validation": 100,
        "num_test": 100,
        "flipped_labels": 40,
        "num_parameters": 1234,
        "device": "cpu",
        "num_threads": 1,
        "data_digest": "0123456789abcdef" * 4,
        "steps_per_epoch": STEPS,
        "versions": {"torch": "2.13.0"},
    }


def card() -> dict[str, Any]:
    return {
        "method": "caat",
        "attack": "pgd",
        "norm": "linf",
        "epsilon": 8 / 255,
        "step_size": 2 / 255,
        "num_steps": 20,
        "restarts": 1,
        "split": "test",
        "n": 100,
        "checkpoint": "last epoch",
        "seed": 0,
        "versions": {"torch": "2.13.0"},
    }


def errors(split: str, epoch: int) -> list[MetricRow]:
    values = {
        "natural_error": 0.3 / epoch,
        "boundary_error": 0.2,
        "robust_error": 0.3 / epoch + 0.2,
        "worst_robust_error": 0.7,
        "worst_natural_error": 0.5,
        "worst_boundary_error": 0.2,
    }
    return [MetricRow(split, name, epoch * STEPS, epoch, value) for name, value in values.items()]


def class_errors(split: str, epoch: int) -> list[ClassMetricRow]:
    """Class j is the worst, with 7 of 10 wrong under attack."""
    rows = []
    for index in range(10):
        robust = 0.7 if index == 9 else min(index, 6) / 10
        natural = min(index, 5) / 10
        values = {
            "natural_error": natural,
            "boundary_error": robust - natural,
            "robust_error": robust,
        }
        rows += [
            ClassMetricRow(split, name, epoch, index, value, 10) for name, value in values.items()
        ]
    return rows


def outcomes() -> dict[str, np.ndarray]:
    """As `class_errors` counts: wrong images of a class are taken for the next one."""
    robust = {index: 7 if index == 9 else min(index, 6) for index in range(10)}
    label = np.repeat(np.arange(10), 10)
    place = np.tile(np.arange(10), 10)
    natural_wrong = place < np.minimum(label, 5)
    robust_wrong = place < np.array([robust[index] for index in label])
    other = (label + 1) % 10
    return {
        "sample": np.arange(100),
        "label": label,
        "clean": np.where(natural_wrong, other, label),
        "attacked": np.where(robust_wrong, other, label),
    }


def summaries(epoch: int) -> list[ClassSummaryRow]:
    quantiles = np.linspace(0, 1, NUM_QUANTILES)
    return [
        ClassSummaryRow(
            epoch=epoch,
            quantity=quantity,
            label_group=group,
            class_index=index,
            n=20,
            mean=0.05 * index,
            quantiles=(quantiles * 0.1 * (index + 1)).tolist(),
        )
        for quantity in ("clean_weight", "adversary_weight", "anti_adversary_weight", "bound")
        for group in ("all", "clean", "flipped")
        for index in range(10)
    ]


def identity() -> dict[str, np.ndarray]:
    """Who the samples are; of 200 every fifth has a wrong label, as in the gallery."""
    sample = np.arange(200)
    given = sample % 10
    true = np.where(sample % 5 == 0, (given + 1) % 10, given)
    return {"sample": sample, "given_label": given, "true_label": true}


def assignment() -> dict[str, np.ndarray]:
    names = ("clean_weight", "adversary_weight", "anti_adversary_weight", "bound")
    return {"sample": np.arange(200)} | {name: np.ones(200, np.float32) for name in names}


def gallery(num: int = 20) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(num) % 10
    columns: dict[str, np.ndarray] = {
        "sample": np.arange(num),
        "given_label": labels,
        "true_label": np.where(np.arange(num) % 5 == 0, (labels + 1) % 10, labels),
        "chosen_for": np.array(["drawn at random", "largest anti-adversary weight"] * (num // 2)),
        "image": rng.integers(0, 256, (num, 1, 8, 8), dtype=np.uint8),
        "bound": np.full(num, 8 / 255, np.float32),
    }
    for kind in ("", "adversary_", "anti_adversary_"):
        columns[f"{kind}prediction"] = labels
        columns[f"{kind}probability"] = np.full(num, 0.5, np.float32)
    for kind in ("adversary", "anti_adversary"):
        columns[f"{kind}_weight"] = np.full(num, 0.5, np.float32)
        delta = rng.uniform(-8 / 255, 8 / 255, (num, 1, 8, 8))
        columns[f"{kind}_delta"] = delta.astype(np.float16)
    return columns
