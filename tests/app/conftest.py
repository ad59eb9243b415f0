"""A data directory with runs in every state, written as a trainer writes them."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from playwright.sync_api import sync_playwright
from sqlalchemy import delete
from streamlit.testing.v1 import AppTest

from db import workers
from db.evaluations import NewEvaluation, write_evaluation
from db.models import FINAL, ClassSummary, RunStatus
from db.session import Database
from db.writes import records, transitions
from db.writes.records import NUM_QUANTILES, ClassMetricRow, ClassSummaryRow, MetricRow
from engine.inspection.distributions import class_distributions
from engine.scenario import Scenario
from tasks import settings as tasks_settings
from tasks.queue.submit import row_of
from tests.app.browser import Visit, served, visiting
from tests.app.proxy import PUBLIC_NAME

MAIN = Path(__file__).parents[2] / "app" / "main.py"
NAMES = [f"class {letter}" for letter in "abcdefghij"]
STEPS = 10
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    f"--host-resolver-rules=MAP {PUBLIC_NAME} 127.0.0.1",
]


class Studio:
    """One installation: its database, and short ways to put runs into it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.worker = transitions.WorkerIdentity("worker-1", "lab-01", "boot", 4242, "cpu")

    def queued(self, name: str = "A run", study: str | None = None, **settings: Any) -> str:
        scenario = Scenario.model_validate(settings).model_copy(update={"name": name})
        with self.database.write() as session:
            return transitions.create_run(session, row_of(scenario, study), "test")[0]

    def running(self, name: str = "A run", epochs: int = 3, **settings: Any) -> str:
        """A run with some recorded epochs, in the middle of the next one."""
        run_id = self.queued(name, **settings)
        with self.database.write() as session:
            attempt = transitions.claim(session, run_id, self.worker, lease_seconds=3600)
            records.write_facts(session, run_id, facts())
            records.write_snapshot(session, run_id, 1, epoch=0, kind="samples", columns=identity())
        assert attempt == 1
        for epoch in range(1, epochs + 1):
            self.record_epoch(run_id, epoch)
        with self.database.write() as session:
            transitions.progress(
                session,
                run_id,
                1,
                epoch=epochs + 1,
                step=4,
                num_steps=STEPS,
                phase="training",
            )
        return run_id

    def finished(self, name: str = "A run", epochs: int = 3, **settings: Any) -> str:
        run_id = self.running(name, epochs, training={"epochs": epochs}, **settings)
        with self.database.write() as session:
            records.write_metrics(session, run_id, 1, rows=errors("test", epochs))
            records.write_class_metrics(session, run_id, 1, rows=class_errors("test", epochs))
            records.write_evaluation_card(session, run_id, card())
            transitions.finish(session, run_id, 1, status=RunStatus.SUCCEEDED)
        self.attacked(run_id, FINAL)
        return run_id

    def learned(self, values: Callable[[int], Any], epochs: int = 3, **settings: Any) -> str:
        """A finished run that gave its samples such values, epoch by epoch."""
        run_id = self.running("Learned", epochs, training={"epochs": epochs}, **settings)
        who = identity()
        with self.database.write() as session:
            session.execute(delete(ClassSummary).where(ClassSummary.run_id == run_id))
            for epoch in range(1, epochs + 1):
                columns = values(epoch)
                rows = class_distributions(
                    columns, who["given_label"], who["true_label"], num_classes=10
                )
                stored = [ClassSummaryRow(epoch=epoch, **vars(row)) for row in rows]
                records.write_class_summaries(session, run_id, 1, rows=stored)
                columns = {"sample": who["sample"], **columns}
                records.write_snapshot(
                    session, run_id, 1, epoch=epoch, kind="assignment", columns=columns
                )
            transitions.finish(session, run_id, 1, status=RunStatus.SUCCEEDED)
        return run_id

    def attacked(
        self, run_id: str, name: str, *, in_vain: bool = False, space: str = "pixels"
    ) -> None:
        """Store an attack on a run, or one that changes no prediction."""
        said = outcomes()
        said |= {"attacked": said["clean"]} if in_vain else {}
        with self.database.write() as session:
            new = NewEvaluation(name, "attack", 100, card() | {"space": space}, outcomes=said)
            write_evaluation(session, run_id, 1, new=new)

    def found(self, run_id: str, kind: str, findings: dict[str, Any]) -> None:
        """Store a security curve or masking checks."""
        with self.database.write() as session:
            new = NewEvaluation(kind, kind, 100, card(), findings)
            write_evaluation(session, run_id, 1, new=new)

    def measured(self, run_id: str, robust: list[float], **card_changes: Any) -> None:
        """Put other test results in the place of a finished run's: no natural error, ten classes.

        Args:
            run_id: The run.
            robust: Robust error of each class, shares in whole tenths.
            card_changes: What its protocol has otherwise.
        """
        values = {"natural_error": [0.0] * 10, "boundary_error": robust, "robust_error": robust}
        overall = {
            "natural_error": 0.0,
            "worst_natural_error": 0.0,
            "robust_error": float(np.mean(robust)),
            "worst_robust_error": max(robust),
        }
        said = outcomes()
        place = np.tile(np.arange(10), 10)
        lost = place < np.rint(10 * np.array(robust))[said["label"]]
        said["clean"] = said["label"]
        said["attacked"] = np.where(lost, (said["label"] + 1) % 10, said["label"])
        protocol = {**card(), **card_changes}
        by_class = [
            ClassMetricRow("test", name, 3, index, value, 10)
            for name, of_class in values.items()
            for index, value in enumerate(of_class)
        ]
        rows = [MetricRow("test", name, 3 * STEPS, 3, value) for name, value in overall.items()]
        with self.database.write() as session:
            records.write_metrics(session, run_id, 1, rows=rows)
            records.write_class_metrics(session, run_id, 1, rows=by_class)
            records.write_evaluation_card(session, run_id, protocol)
            new = NewEvaluation(FINAL, "attack", 100, protocol, outcomes=said)
            write_evaluation(session, run_id, 1, new=new)

    def failed(self, name: str, message: str) -> str:
        run_id = self.running(name, 1)
        with self.database.write() as session:
            transitions.finish(
                session, run_id, 1, status=RunStatus.FAILED, reason="error", message=message
            )
        return run_id

    def record_epoch(self, run_id: str, epoch: int, attempt: int = 1) -> None:
        train = {
            "loss": 2 / epoch,
            "learning_rate": 0.1,
            "adversary_weight": 1.5,
            "anti_adversary_weight": 0.1 * epoch,
            "saturation_share": 0.02,
            "meta_gradient_norm": 0.01 / epoch,
        }
        step = epoch * STEPS
        rows = [MetricRow("train", name, step, epoch, value) for name, value in train.items()]
        rows += [
            MetricRow("train", "batch_loss", step - k, epoch, 2 / epoch + 0.1 * k) for k in range(5)
        ]
        with self.database.write() as session:
            records.write_metrics(session, run_id, attempt, rows=rows + errors("validation", epoch))
            records.write_class_metrics(
                session, run_id, attempt, rows=class_errors("validation", epoch)
            )
            records.write_class_summaries(session, run_id, attempt, rows=summaries(epoch))
            records.write_snapshot(
                session, run_id, attempt, epoch=epoch, kind="assignment", columns=assignment()
            )
            records.write_snapshot(
                session, run_id, attempt, epoch=epoch, kind="gallery", columns=gallery()
            )
            transitions.epoch_done(session, run_id, attempt, epoch=epoch)

    def status(self, run_id: str) -> str:
        from db.reads import queries

        with self.database.read() as session:
            run = queries.get_run(session, run_id)
        assert run is not None
        return run.status.value

    def report_worker(self, **changes: Any) -> None:
        known = {
            "id": "worker-1",
            "host": "lab-01",
            "pid": 4242,
            "device": "cuda:0",
            "device_name": "a GPU",
            "version": "0.1.0",
        }
        with self.database.write() as session:
            workers.upsert_worker(session, workers.WorkerReport(**{**known, **changes}))


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


@pytest.fixture
def studio(
    sqlite_database: Database, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Studio]:
    """An installation without runs, whose broker does not answer."""
    monkeypatch.setenv("CAAT_DATA_DIR", str(data_dir))
    monkeypatch.delenv("CAAT_DATABASE_URL", raising=False)
    silence(monkeypatch)
    forget()
    yield Studio(sqlite_database)
    tasks_settings.open_database().dispose()
    forget()


def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nobody look for a broker."""
    monkeypatch.setattr("tasks.queue.submit.ring", lambda database: True)
    monkeypatch.setattr("tasks.commands.ring", lambda database: True)
    monkeypatch.setattr("tasks.study.ring", lambda database: True)


def forget() -> None:
    """Forget the settings in force, the database and everything that was read from it."""
    tasks_settings.settings.cache_clear()
    tasks_settings._database.cache_clear()
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def open_page(studio: Studio) -> Callable[..., AppTest]:
    """Open a page of the dashboard, as its link would: file and query parameters."""

    def opened(path: str, **query: str) -> AppTest:
        page = AppTest.from_file(str(MAIN), default_timeout=30)
        if path != "runs":
            page = page.run().switch_page(f"views/{path}.py")
        for name, value in query.items():
            page.query_params[name] = value
        return checked(page.run())

    return opened


def checked(page: AppTest) -> AppTest:
    assert not page.exception, page.exception[0].value
    assert not any("deprecated" in warning.value for warning in page.warning)
    return page


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A real browser; where there is none its tests are left out, except in CI."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = "needs a Chromium (Debian: apt-get install chromium)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def server(studio: Studio, data_dir: Path) -> Iterator[str]:
    """A dashboard of its own on a free port; gives its address."""
    with served(MAIN, data_dir) as address:
        yield address


@pytest.fixture
def visit(chromium: Any, server: str) -> Iterator[Visit]:
    with visiting(chromium, server) as visitor:
        yield visitor
