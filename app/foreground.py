"""``caat run``: be the worker of one run, and draw its progress."""

import signal
import time
from typing import Any

from tqdm import tqdm

from db import queries
from db.rows import RunDetail
from engine.scenario import Scenario
from tasks import commands
from tasks.settings import open_database
from tasks.supervise import run_now

EVERY_SECONDS = 0.5


def run(scenario: Scenario, actor: str, *, quiet: bool) -> dict[str, Any]:
    """Train to the end and return what ``caat run --json`` prints.

    Ctrl-C asks the run to stop at its next step; a second one ends this process.
    """
    began = time.monotonic()
    with Bar(disable=quiet) as bar:
        run_id = run_now(open_database(), scenario, actor, started=bar.follow, tick=bar.draw)
        bar.draw(at_once=True)
    with open_database().read() as session:
        row = queries.get_run(session, run_id)
        metrics = queries.final_metrics(session, run_id)
    assert row is not None
    return {
        "run_id": run_id,
        "status": row.status.value,
        "message": row.message,
        "method": row.method,
        "seconds": round(time.monotonic() - began, 3),
        "evaluation_card": row.evaluation_card,
        "metrics": metrics,
    }


class Bar:
    """A progress bar in steps, fed from the database like every page."""

    def __init__(self, *, disable: bool) -> None:
        self._disable = disable
        self._bar: tqdm[Any] | None = None
        self._run_id: str | None = None
        self._next = 0.0
        self._handler: Any = None

    def __enter__(self) -> "Bar":
        self._handler = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._handler)
        if self._bar is not None:
            self._bar.close()

    def follow(self, run_id: str) -> None:
        """Take the id of the run that is drawn from now on."""
        self._run_id = run_id
        if not self._disable:
            self._bar = tqdm(unit="step", dynamic_ncols=True)

    def draw(self, *, at_once: bool = False) -> None:
        """Draw where the run is, twice a second."""
        if self._bar is None or self._run_id is None:
            return
        if time.monotonic() < self._next and not at_once:
            return
        self._next = time.monotonic() + EVERY_SECONDS
        with open_database().read() as session:
            run = queries.get_run(session, self._run_id)
        if run is not None and run.facts is not None:
            _show(self._bar, run, run.facts["steps_per_epoch"])

    def _interrupt(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._handler)
        if self._run_id is not None:
            commands.stop(self._run_id, "command line")


def _show(bar: "tqdm[Any]", run: RunDetail, steps_per_epoch: int) -> None:
    bar.total = steps_per_epoch * run.num_epochs
    bar.n = round(run.progress * bar.total)
    bar.set_description(f"epoch {run.epoch}/{run.num_epochs}", refresh=False)
    if run.natural_error is not None and run.robust_error is not None:
        errors = f"natural {run.natural_error:.1%}, robust {run.robust_error:.1%}"
        bar.set_postfix_str(f"{run.result_split} error: {errors}", refresh=False)
    bar.refresh()
