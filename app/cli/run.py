"""``caat run``: be the worker of one run, and draw its progress."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from app.text.evaluation_card import threat_of_run, under
from db.models import HELD, RunStatus
from db.reads import queries
from db.reads.rows import RunDetail
from db.writes.transitions import NewRun
from tasks.processes.database_retry import TRANSIENT_ERRORS, retry_transient
from tasks.settings import open_database, settings
from tasks.worker import reconcile
from tasks.worker.supervise import run_now

EVERY_SECONDS = 0.5


def run(made: Callable[[], NewRun], actor: str, *, quiet: bool) -> dict[str, Any]:
    """Do what a run is for to its end; return what ``caat run --json`` prints.

    Ctrl-C, SIGTERM and SIGHUP (a terminal that closes, a cluster's time limit) ask the run to stop
    at its next step, and the result says so; a second Ctrl-C ends this process.
    """
    began = time.monotonic()
    database = open_database()
    reconcile.end_lost(database)
    with Signals() as signals, Bar(disable=quiet) as bar:
        new = made()
        run_id = run_now(
            database,
            new,
            actor,
            started=bar.follow,
            tick=bar.draw,
            told_to_end=signals.told,
        )
        bar.draw(at_once=True)
    result = _stored(run_id) if run_id else _nothing(new, signals.told())
    return result | {"seconds": round(time.monotonic() - began, 3)}


def _stored(run_id: str) -> dict[str, Any]:
    def read() -> dict[str, Any]:
        with open_database().read() as session:
            row = queries.get_run(session, run_id)
            metrics = queries.final_metrics(session, run_id)
        assert row is not None
        is_elsewhere = row.status in (RunStatus.QUEUED, *HELD)
        goes_on = f"Another worker goes on with it: `caat status {run_id}` says how it stands"
        return {
            "run_id": run_id,
            "status": row.status.value,
            "message": goes_on if is_elsewhere else row.message,
            "method": row.method,
            "seconds": 0.0,
            "evaluation_card": row.evaluation_card,
            "realised": (row.facts or {}).get("realised"),
            "metrics": metrics,
        }

    return retry_transient(read, settings().lease_seconds)


def _nothing(new: NewRun, why: str) -> dict[str, Any]:
    """Return the result of what was stopped before anything was stored."""
    return {
        "run_id": None,
        "status": RunStatus.CANCELLED.value,
        "message": f"{why}; nothing was stored yet",
        "method": new.method,
        "seconds": 0.0,
        "evaluation_card": None,
        "realised": None,
        "metrics": None,
    }


class Signals:
    """Catches the signals that end this process, and keeps the first of them in words."""

    def __init__(self) -> None:
        self._first = ""
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Signals":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            before = signal.getsignal(number)
            if number is signal.SIGHUP and before is signal.SIG_IGN:
                continue  # nohup
            self._handlers[number] = before
            signal.signal(number, self._catch)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._handlers.items():
            signal.signal(number, before)

    def told(self) -> str:
        """Return why this process is to end, or nothing."""
        return self._first

    def _catch(self, number: int, _frame: object) -> None:
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        self._first = self._first or f"Stopped by {name}"
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)


class Bar:
    """A progress bar in steps, fed from the database like every page."""

    def __init__(self, *, disable: bool) -> None:
        self._disable = disable
        self._bar: tqdm[Any] | None = None
        self._run_id: str | None = None
        self._next = 0.0

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            with contextlib.suppress(OSError):
                self._bar.close()

    def follow(self, run_id: str) -> None:
        """Take the id of the run that is drawn from now on."""
        self._run_id = run_id
        if not self._disable:
            self._bar = tqdm(unit="step", **_width())

    def draw(self, *, at_once: bool = False) -> None:
        """Draw where the run is, twice a second; what cannot be read or drawn is left out."""
        if self._bar is None or self._run_id is None:
            return
        if time.monotonic() < self._next and not at_once:
            return
        self._next = time.monotonic() + EVERY_SECONDS
        try:
            with open_database().read() as session:
                run = queries.get_run(session, self._run_id)
            if run is not None and run.facts is not None:
                _show(self._bar, run, run.facts["steps_per_epoch"])
        except TRANSIENT_ERRORS:
            self._bar.set_postfix_str("the database does not answer", refresh=False)
        except OSError:  # the terminal is gone
            self._bar = None


def _width() -> dict[str, Any]:
    """Return the size that tqdm draws in; on a terminal that says 0 columns it shows nothing."""
    try:
        says_it = os.get_terminal_size(sys.stderr.fileno()).columns > 0
    except (OSError, ValueError):  # it is no terminal
        says_it = True
    return {"dynamic_ncols": True} if says_it else {"ncols": 80, "nrows": 24}


def _show(bar: "tqdm[Any]", run: RunDetail, steps_per_epoch: int) -> None:
    bar.total = steps_per_epoch * run.num_epochs
    bar.n = round(run.progress * bar.total)
    again = f", attempt {run.attempt}" if run.attempt > 1 else ""
    bar.set_description(f"epoch {run.epoch}/{run.num_epochs}{again}", refresh=False)
    if run.natural_error is not None and run.robust_error is not None:
        errors = f"natural {run.natural_error:.1%}, robust {run.robust_error:.1%}"
        errors += under(threat_of_run(run))
        bar.set_postfix_str(f"{run.result_split} error: {errors}", refresh=False)
    bar.refresh()
