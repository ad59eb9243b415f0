"""Which batch norm should Meta-Weight-Net's meta loss use? Both, on one network and the same noise.

    python benchmarks/meta_batch_norm.py [--seeds 3] [--epochs 8]

The meta gradient of a sample's weight is above 0 where less weight would help the clean meta
images. Its ROC AUC says how well it tells wrong labels from right ones, 0.5 for a guess: over the
batches of the first two epochs, and of the last two. Prints the table of docs/methods.md.
"""

import argparse
import statistics
import sys
from pathlib import Path

# This folder is first on the path, and its engine.py is called like the package.
sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).parent]

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks.training import cells, tested, train, trainer_of
from engine.evaluation.statistics import spread
from engine.methods.base import Learner, Step
from engine.methods.meta_weight_net import MetaWeightNet, MetaWeightNetConfig

MODES = ("eval", "train")


class Watched(MetaWeightNet):
    """It keeps the meta gradient of every sample's weight, beside who the sample is."""

    def __init__(self, config: MetaWeightNetConfig, learner: Learner) -> None:
        super().__init__(config, learner)
        self.seen: list[tuple[int, Tensor, Tensor]] = []

    def _weight_gradient(self, step: Step, weights: Tensor) -> Tensor:
        gradient = super()._weight_gradient(step, weights)
        self.seen.append((step.epoch, step.batch.index, gradient[:, 0]))
        return gradient


class WatchedConfig(MetaWeightNetConfig):
    def build(self, learner: Learner) -> Watched:
        return Watched(self, learner)


def measured(mode: str, seed: int, epochs: int) -> tuple[float, float, float]:
    """Return the AUC early and late, and the natural error on test data at the end."""
    fields = {
        "seed": seed,
        "data": {
            "dataset": "fashion-mnist",
            "train_size": 2048,
            "test_size": 1000,
            "noise": {"kind": "flip1", "ratio": 0.4},
        },
        "model": {"backbone": "resnet32", "width": 4},
        "training": {"epochs": epochs, "batch_size": 128},
        "evaluation": {"val_num_steps": 1, "num_steps": 1},
    }
    trainer = trainer_of(fields, WatchedConfig(meta_batch_norm=mode))
    train(trainer)
    data = trainer.data.train
    wrong = torch.from_numpy(data.labels != data.true_labels)
    assert isinstance(trainer.policy, Watched)
    seen = trainer.policy.seen

    def auc(first: int, last: int) -> float:
        each = [roc_auc_score(wrong[i], g) for epoch, i, g in seen if first <= epoch <= last]
        return statistics.mean(each)

    test = tested(trainer)
    error = 100 * spread(test.natural, test.count).average
    return auc(1, 2), auc(epochs - 1, epochs), error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    print("| batch norm of the meta loss | AUC early | AUC late | natural error, % |")
    print("|---|---|---|---|")
    for mode in MODES:
        runs = [measured(mode, seed, arguments.epochs) for seed in range(arguments.seeds)]
        print(f"| {mode} | {cells(runs, (2, 2, 1))} |", flush=True)


if __name__ == "__main__":
    main()
