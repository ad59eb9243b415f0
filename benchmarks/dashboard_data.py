"""A database of many runs with plausible values, written by the writers that a trainer uses."""

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

# The folder of this file has a file that is called like a package.
sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).parent]

import numpy as np
from sqlalchemy.orm import Session

from db import workers
from db.evaluations import NewEvaluation, write_evaluation
from db.models import FINAL, RunStatus
from db.session import Database
from db.settings import sqlite_url
from db.writes import records, transitions
from db.writes.records import ClassMetricRow, ClassSummaryRow, MetricRow
from engine.inspection.distributions import class_distributions, class_means
from engine.scenario import Scenario

EPOCHS, STEPS, NUM_LARGE = 100, 470, 20
SNAPSHOTS = (20, 40, 60, 80, 100)
YEARS = 10 * 365 * 86_400.0
ERRORS = ("natural_error", "boundary_error", "robust_error")
METHODS = ("caat", "trades", "pgd-at", "mart", "standard")
LEARNED = (
    *("meta_gradient_norm", "saturation_share", "flipped_auc", "flipped_auc_loss"),
    *("anti_adversary_weight_clean", "anti_adversary_weight_flipped", "anti_adversary_share"),
    *(f"importance_{name}" for name in ("loss", "margin", "entropy", "gradient_norm")),
)


@dataclass(frozen=True)
class Shape:
    """How large a run is."""

    dataset: str
    classes: int
    train: int
    test: int
    recorded: tuple[int, ...]


SMALL = Shape("digits", 10, 1_037, 360, (EPOCHS,))
LARGE = Shape("fashion-mnist", 10, 60_000, 10_000, SNAPSHOTS)
MANY_CLASSES = Shape("cifar100", 1_000, 60_000, 10_000, SNAPSHOTS)


@dataclass(frozen=True)
class Built:
    """Runs by what they are: ids."""

    large: list[str]
    many_classes: str
    ordinary: list[str]


def build(file: Path, num_runs: int) -> Built:
    """Make the database, or take it as it is where it has been made before."""
    database = Database(sqlite_url(file))
    database.upgrade()
    ids = _stored(database)
    if not ids:
        shapes = [MANY_CLASSES] + [LARGE] * NUM_LARGE + [SMALL] * (num_runs - NUM_LARGE - 1)
        for number, shape in enumerate(shapes):
            with database.write() as session:
                ids.append(_write_run(session, number, shape))
    with database.write() as session:
        report = workers.WorkerReport("worker-0", "lab-01", 4242, "cuda:0", "GPU", "0.1.0")
        workers.upsert_worker(session, report)
    database.dispose()
    return Built(ids[1 : NUM_LARGE + 1], ids[0], ids[NUM_LARGE + 1 :])


def _stored(database: Database) -> list[str]:
    """Return the ids of a database's runs in the order of their making."""
    from sqlalchemy import select

    from db.models import Run

    with database.read() as session:
        return list(session.execute(select(Run.id).order_by(Run.idempotency_key)).scalars())


def _write_run(session: Session, number: int, shape: Shape) -> str:
    """Write one run whole: most end, some are at work, wait or have failed."""
    rng = np.random.default_rng(number)
    scenario = _scenario(number, shape.dataset)
    new = transitions.NewRun(
        name=scenario.name,
        scenario=scenario.as_json(),
        scenario_digest=scenario.digest(),
        method=scenario.method.label,
        dataset=shape.dataset,
        seed=scenario.seed,
        num_epochs=EPOCHS,
        study=f"Study {number // 50}",
        idempotency_key=f"{number:06d}",
    )
    run_id, _ = transitions.create_run(session, new, "benchmark")
    state = (
        "done"
        if shape is not SMALL
        else {7: "queued", 8: "running", 9: "failed"}.get(number % 50, "done")
    )
    if state == "queued":
        return run_id
    worker = transitions.WorkerIdentity("worker-0", "lab-01", "boot", 4242, "cuda:0")
    transitions.claim(session, run_id, worker, lease_seconds=YEARS)
    records.write_facts(session, run_id, _facts(shape))
    reached = EPOCHS if state == "done" else EPOCHS // 2
    _write_training(session, run_id, shape, rng, reached, scenario.method.name == "caat")
    if state == "done":
        _write_test(session, run_id, shape, rng, scenario.method.label)
        transitions.finish(session, run_id, 1, status=RunStatus.SUCCEEDED)
    elif state == "failed":
        transitions.finish(
            session, run_id, 1, status=RunStatus.FAILED, reason="error", message="Out of memory"
        )
    else:
        place = {"epoch": reached + 1, "step": 40, "num_steps": STEPS, "phase": "training"}
        transitions.progress(session, run_id, 1, **place)  # type: ignore[arg-type]
    return run_id


def _scenario(number: int, dataset: str) -> Scenario:
    method = METHODS[number % len(METHODS)] if number > NUM_LARGE else "caat"
    return Scenario.model_validate(
        {
            "name": f"{method}, setting {number // 50}",
            "seed": number // len(METHODS) % 10,
            "method": {"name": method},
            "data": {"dataset": dataset, "noise": {"kind": "pair", "ratio": 0.2}},
            "training": {"epochs": EPOCHS, "lr": 0.01 * (1 + number // 50)},
        }
    )


def _facts(shape: Shape) -> dict[str, Any]:
    given = np.bincount(_labels(shape)["given_label"], minlength=shape.classes).tolist()
    return {
        "class_names": [f"class {index}" for index in range(shape.classes)],
        "class_counts": given,
        "true_class_counts": given,
        "num_train": shape.train,
        "num_meta": 1_000,
        "num_validation": 2_000,
        "num_test": shape.test,
        "flipped_labels": shape.train // 5,
        "num_parameters": 11_000_000,
        "device": "cuda:0",
        "device_name": "GPU",
        "num_threads": 1,
        "data_digest": "0" * 64,
        "steps_per_epoch": STEPS,
        "versions": {"caat-studio": "0.1.0", "torch": "2.13.0"},
    }


@cache
def _labels(shape: Shape) -> dict[str, np.ndarray]:
    """Return who the samples are; every fifth has the label of the next class."""
    sample = np.arange(shape.train)
    true = sample % shape.classes
    given = np.where(sample // shape.classes % 5 == 0, (true + 1) % shape.classes, true)
    return {"sample": sample, "given_label": given, "true_label": true}


def _write_training(
    session: Session, run_id: str, shape: Shape, rng: Any, reached: int, learned: bool
) -> None:
    records.write_snapshot(session, run_id, 1, epoch=0, kind="samples", columns=_labels(shape))
    rows: list[MetricRow] = []
    by_class: list[ClassMetricRow] = []
    hardness = np.sort(rng.uniform(0.7, 1.5, shape.classes))
    weights = (*_MEANS, "clean_loss", "adversary_loss", "anti_adversary_loss", "bound")
    for epoch in range(1, reached + 1):
        errors = _errors(rng, epoch, hardness)
        named = {"loss": 0.4 + 2 * np.exp(-epoch / 25), "learning_rate": 0.1 * 0.98**epoch}
        named |= {name: 1 - 0.5 * np.exp(-epoch / 30) for name in weights}
        named |= dict.fromkeys(LEARNED, 0.2 + 0.1 * np.cos(epoch / 20)) if learned else {}
        step = epoch * STEPS
        rows += [MetricRow("train", name, step, epoch, value) for name, value in named.items()]
        rows += [
            MetricRow("train", "batch_loss", step - 47 * back, epoch, named["loss"] + 0.01 * back)
            for back in range(10)
        ]
        rows += _overall("validation", step, epoch, errors)
        by_class += _by_class("validation", epoch, errors, 2_000 // shape.classes)
        means = dict.fromkeys((*_MEANS, "bound"), 1 + 0.01 * epoch * hardness)
        by_class += _by_class("train", epoch, means, shape.train // shape.classes)
    records.write_metrics(session, run_id, 1, rows=rows)
    records.write_class_metrics(session, run_id, 1, rows=by_class)
    for epoch in (epoch for epoch in shape.recorded if epoch <= reached):
        _write_snapshot(session, run_id, shape, epoch)
    records.write_checkpoint(
        session, run_id, 1, epoch=reached, path="checkpoints/none", size=45_000_000, sha256="0" * 64
    )
    transitions.epoch_done(session, run_id, 1, epoch=reached)


_MEANS = ("clean_weight", "adversary_weight", "anti_adversary_weight", "anti_adversary_share")


def _errors(rng: Any, epoch: int, hardness: np.ndarray) -> dict[str, np.ndarray]:
    noise = rng.normal(0, 0.01, len(hardness))
    natural = np.clip((0.1 + 0.5 * np.exp(-epoch / 20)) * hardness + noise, 0, 1)
    robust = np.clip(natural + 0.25 * hardness, 0, 1)
    return dict(zip(ERRORS, (natural, robust - natural, robust), strict=True))


def _overall(split: str, step: int, epoch: int, errors: dict[str, np.ndarray]) -> list[MetricRow]:
    means = {name: float(values.mean()) for name, values in errors.items()}
    means |= {f"worst_{name}": float(values.max()) for name, values in errors.items()}
    return [MetricRow(split, name, step, epoch, value) for name, value in means.items()]


def _by_class(
    split: str, epoch: int, values: dict[str, np.ndarray], n: int
) -> list[ClassMetricRow]:
    return [
        ClassMetricRow(split, name, epoch, index, value, n)
        for name, of_class in values.items()
        for index, value in enumerate(of_class.tolist())
    ]


def _write_snapshot(session: Session, run_id: str, shape: Shape, epoch: int) -> None:
    columns, gallery, summaries = _recorded(shape, epoch)
    records.write_snapshot(session, run_id, 1, epoch=epoch, kind="assignment", columns=columns)
    records.write_snapshot(session, run_id, 1, epoch=epoch, kind="gallery", columns=gallery)
    records.write_class_summaries(session, run_id, 1, rows=summaries)


@cache
def _recorded(shape: Shape, epoch: int) -> tuple[Any, Any, list[ClassSummaryRow]]:
    """Return one epoch's samples, gallery and summaries: those of all runs of one shape."""
    rng, who = np.random.default_rng(epoch), _labels(shape)
    flipped = who["given_label"] != who["true_label"]
    names = ("loss", "class_loss", "gradient_norm", "margin", "entropy", "class_proportion")
    columns: dict[str, np.ndarray] = {"sample": who["sample"]}
    columns |= {name: rng.gamma(2, 1, shape.train).astype(np.float32) for name in names}
    anti = rng.beta(2 + 3 * flipped, 5 - 3 * flipped).astype(np.float32)
    columns |= {"clean_weight": np.ones(shape.train, np.float32), "adversary_weight": 1.5 - anti}
    columns |= {"anti_adversary_weight": anti, "bound": (0.03 + 0.01 * anti).astype(np.float32)}
    labels = who["given_label"]
    found = class_distributions(columns, labels, who["true_label"], num_classes=shape.classes)
    assert np.isfinite(class_means(columns, labels, shape.classes)["bound"]).all()
    rows = [ClassSummaryRow(epoch=epoch, **vars(item)) for item in found]
    return columns, _gallery(rng, who, columns), rows


def _gallery(rng: Any, who: Any, columns: Any) -> dict[str, np.ndarray]:
    shown = np.arange(80)
    out: dict[str, np.ndarray] = {name: values[shown] for name, values in who.items()}
    out["chosen_for"] = np.array(["drawn at random", "largest anti-adversary weight"] * 40)
    out["image"] = rng.integers(0, 256, (80, 1, 28, 28), dtype=np.uint8)
    out["bound"] = columns["bound"][shown]
    for kind in ("", "adversary_", "anti_adversary_"):
        out[f"{kind}prediction"] = out["given_label"]
        out[f"{kind}probability"] = np.full(80, 0.5, np.float32)
    for kind in ("adversary", "anti_adversary"):
        out[f"{kind}_weight"] = columns[f"{kind}_weight"][shown]
        out[f"{kind}_delta"] = rng.uniform(-0.03, 0.03, (80, 1, 28, 28)).astype(np.float16)
    return out


def _write_test(session: Session, run_id: str, shape: Shape, rng: Any, method: str) -> None:
    label = np.arange(shape.test) % shape.classes
    clean_wrong = rng.random(shape.test) < 0.15 * (1 + label / shape.classes)
    robust_wrong = clean_wrong | (rng.random(shape.test) < 0.35)
    other = (label + 1) % shape.classes
    said = {"sample": np.arange(shape.test), "label": label}
    said |= {"clean": np.where(clean_wrong, other, label)}
    said |= {"attacked": np.where(robust_wrong, other, label)}
    counts = np.bincount(label, minlength=shape.classes)
    wrong = (clean_wrong, robust_wrong & ~clean_wrong, robust_wrong)
    errors = {
        name: np.bincount(label, weights=which, minlength=shape.classes) / counts
        for name, which in zip(ERRORS, wrong, strict=True)
    }
    rows = _overall("test", EPOCHS * STEPS, EPOCHS, errors)
    records.write_metrics(session, run_id, 1, rows=rows)
    n = shape.test // shape.classes
    records.write_class_metrics(session, run_id, 1, rows=_by_class("test", EPOCHS, errors, n))
    card = _card(method, shape)
    records.write_evaluation_card(session, run_id, card)
    new = NewEvaluation(FINAL, "attack", shape.test, card, outcomes=said)
    write_evaluation(session, run_id, 1, new=new)


def _card(method: str, shape: Shape) -> dict[str, Any]:
    card: dict[str, Any] = {"method": method, "attack": "pgd", "label": "PGD-20", "norm": "linf"}
    card |= {"epsilon": 8 / 255, "step_size": 2 / 255, "num_steps": 20, "restarts": 1}
    card |= {"split": "test", "n": shape.test, "whole": shape.test, "subset": False}
    card |= {"trained_norm": "linf", "trained_epsilon": 8 / 255, "start": "uniform"}
    return card | {"checkpoint": "last epoch", "seed": 0, "space": "pixels", "batch_size": 500}
