"""A run over 60,000 samples, of which only some batches are trained.

The images are the handwritten digits, enlarged to 28 x 28 and noisy, so that no two are alike; a
fifth of the labels is wrong. A small CNN learns them by CAAT with 10 inner steps, then assigns all.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from engine.data.preparation import Data
from engine.inspection.distributions import class_distributions, class_means
from engine.scenario import Scenario
from engine.training.epoch_record import EpochRecord, Stepped
from engine.training.observer import EpochReport, Progress, Snapshot
from engine.training.trainer import Trainer
from engine.types import Columns, ImageSet
from tests.faults.reports import evaluation

SAMPLES, BATCH, CLASSES = 60_000, 128, 10
STEPS = -(-SAMPLES // BATCH)


class Silent:
    """An observer that keeps nothing."""

    def on_start(self, facts: object, samples: object) -> None: ...

    def on_progress(self, progress: Progress) -> None: ...

    def on_epoch(self, report: object) -> None: ...

    def on_finish(self, report: object) -> None: ...

    def should_stop(self) -> bool:
        return False


@dataclass(frozen=True)
class LongRun:
    """What the run would report of an epoch.

    Attributes:
        images: The training set.
        columns: What the method gave each sample, (60,000,) each.
        epoch_seconds: Of the whole epoch's training, from the batches that were timed.
        num_timed: How many.
        state: Of model and optimiser.
    """

    images: ImageSet
    columns: Columns
    epoch_seconds: float
    num_timed: int
    state: dict[str, Tensor]

    def report(self, epoch: int) -> EpochReport:
        """Return a report of an epoch, its summaries made anew, as an engine makes them."""
        labels = self.images.labels
        distributions = class_distributions(
            self.columns, labels, self.images.true_labels, num_classes=CLASSES
        )
        return EpochReport(
            epoch=epoch,
            step=epoch * STEPS,
            measures={f"measure {number}": number / 7 for number in range(12)},
            validation=evaluation(CLASSES),
            class_measures=class_means(self.columns, labels, CLASSES),
            class_counts=np.bincount(labels, minlength=CLASSES).tolist(),
            snapshot=Snapshot(self.columns, distributions, self._gallery()),
            state=self.state,
        )

    def _gallery(self) -> Columns:
        """Return images of 80 samples with the two changes of each, in their true sizes."""
        shown = self.images.images[:80]
        delta = (shown * np.float16(0.001)).astype("f2")
        return {"image": shown, "adversary_delta": delta, "anti_adversary_delta": delta}


def train(seed: int, num_batches: int) -> LongRun:
    """Train some batches, at least half of them timed, and let the method assign every sample."""
    images = enlarged_digits(SAMPLES, seed)
    trainer = _trainer(images, seed)
    record = EpochRecord(SAMPLES, trainer.device)
    began, number = 0.0, 0
    for number, batch in enumerate(trainer.batches.epoch(1)):
        if number == num_batches // 2:
            began = time.perf_counter()
        if number == num_batches:
            break
        trainer._begin_step(1, number)
        record.add(trainer._step(1, number, batch))
    num_timed = num_batches - num_batches // 2
    seconds = (time.perf_counter() - began) / num_timed * STEPS
    with torch.no_grad():
        for batch in trainer.batches.epoch(2):
            _, traits = trainer._clean_view(batch)
            assignment = trainer.method.assign(batch, traits)
            nothing = torch.zeros_like(assignment.weights)
            record.add(Stepped(batch, assignment, traits, nothing))
    columns = {"sample": images.source, **record.as_numpy()}
    return LongRun(images, columns, seconds, num_timed, trainer.state())


def _trainer(images: ImageSet, seed: int) -> Trainer:
    scenario = Scenario.model_validate(
        {
            "seed": seed,
            "data": {"dataset": "fashion-mnist"},
            "method": {"name": "caat"},
            "threat": {"epsilon": 0.1, "num_steps": 10},
            "training": {"batch_size": BATCH},
        }
    )
    few = enlarged_digits(500, seed + 1)
    names = tuple(str(label) for label in range(CLASSES))
    trainer = Trainer(
        scenario, Data(images, few, few, few, names), Silent(), device=torch.device("cpu")
    )
    trainer._begin(1)
    trainer.model.train()
    return trainer


def enlarged_digits(size: int, seed: int) -> ImageSet:
    """Return that many images of the bundled digits, each with noise of its own."""
    rng = np.random.default_rng(seed)
    small, true = load_digits(return_X_y=True)
    chosen = rng.integers(len(small), size=size)
    large = np.kron(small.reshape(-1, 1, 8, 8), np.ones((1, 1, 3, 3))) * 12
    images = np.pad(large, ((0, 0), (0, 0), (2, 2), (2, 2))).astype("u1")[chosen]
    images += rng.integers(60, size=images.shape, dtype="u1")
    labels = true[chosen].astype(np.int64)
    given = np.where(rng.random(size) < 0.2, rng.integers(CLASSES, size=size), labels)
    return ImageSet(images, given, labels, np.arange(size))
