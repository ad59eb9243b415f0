"""What an engine would report, without training: small, and known from the epoch's number."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from db.session import Database
from db.writes import transitions
from db.writes.transitions import NewRun, WorkerIdentity
from engine.evaluation.card import EvaluationCard
from engine.evaluation.evaluate import Evaluation
from engine.inspection.distributions import ASSIGNMENT, class_distributions
from engine.training.observer import EpochReport, FinalReport, Snapshot
from engine.types import Columns

CLASSES, SAMPLES, STEPS = 3, 30, 5
LABELS = np.arange(SAMPLES) % CLASSES


def queued_run(database: Database, **fields: Any) -> str:
    """Store a run and return its id."""
    known: dict[str, Any] = {
        "name": "fault",
        "scenario": {},
        "scenario_digest": "0" * 64,
        "method": "caat",
        "dataset": "digits",
        "seed": 0,
        "num_epochs": 9,
    }
    with database.write() as session:
        run_id, _ = transitions.create_run(session, NewRun(**(known | fields)), "fault")
    return run_id


def worker(number: int, host: str = "elsewhere") -> WorkerIdentity:
    """Return who claims; its host is not this one, so that its lease alone says that it lives."""
    return WorkerIdentity(f"{host}-{number}", host, "boot", number, "cpu")


def claimed(database: Database, run_id: str, who: WorkerIdentity, lease: float = 60) -> int:
    """Claim a queued run and return the attempt."""
    with database.write() as session:
        attempt = transitions.claim(session, run_id, who, lease_seconds=lease)
    if attempt is None:
        raise RuntimeError(f"run {run_id} was not queued")
    return attempt


def state_of(epoch: int, size: int = 2_000) -> dict[str, Tensor]:
    """Return the state after an epoch: 20 tensors that no other epoch has."""
    rng = torch.Generator().manual_seed(epoch)
    return {f"model.{place}": torch.randn(size, generator=rng) for place in range(20)}


def epoch_report(epoch: int) -> EpochReport:
    """Return a whole report, with all that is written of an epoch."""
    rng = np.random.default_rng(epoch)
    columns: Columns = {name: rng.random(SAMPLES, "f4") for name in ASSIGNMENT}
    return EpochReport(
        epoch=epoch,
        step=epoch * STEPS,
        measures={"loss": 1 / epoch, "learning_rate": 0.1},
        validation=evaluation(CLASSES),
        class_measures={name: [0.5] * CLASSES for name in ASSIGNMENT},
        class_counts=[SAMPLES // CLASSES] * CLASSES,
        snapshot=Snapshot(
            columns=columns,
            distributions=class_distributions(columns, LABELS, LABELS, num_classes=CLASSES),
            gallery={"sample": np.arange(4), "image": np.zeros((4, 1, 2, 2), "u1")},
        ),
        state=state_of(epoch),
    )


def final_report(epoch: int) -> FinalReport:
    """Return the look at the test data after an epoch."""
    said = dict.fromkeys(("sample", "label", "clean", "attacked"), LABELS)
    card = EvaluationCard(
        method="caat",
        attack="pgd",
        label="PGD-2",
        loss="cross-entropy",
        norm="linf",
        epsilon=0.1,
        step_size=0.02,
        num_steps=2,
        restarts=1,
        start="uniform",
        targets=None,
        trained_norm="linf",
        trained_epsilon=0.1,
        split="test",
        n=SAMPLES,
        whole=SAMPLES,
        subset=False,
        batch_size=SAMPLES,
        batch_norm="eval",
        checkpoint="last epoch",
        seed=0,
        versions={},
    )
    return FinalReport(epoch, epoch * STEPS, said, evaluation(CLASSES), card)


def evaluation(num_classes: int) -> Evaluation:
    """Return errors of ten images a class."""
    ones = np.ones(num_classes, dtype=np.int64)
    return Evaluation(10 * ones, 2 * ones, 3 * ones)
