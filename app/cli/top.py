"""The terminal's view of what goes on: queues, workers, runs in work, what waits and why."""

import signal
import time
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from app.text.format import NOTHING, count, duration
from app.text.labels import title
from app.text.progress import whereabouts
from app.text.waiting import why_waiting
from app.text.workers import memory_of, seen, state_of, utilisation_of
from db.errors import DatabaseError
from db.reads.activity import Activity, WaitingRow, WorkRow
from db.reads.placement import parted
from db.reads.rows import RunRow, WorkerRow
from tasks.activity import look
from tasks.escaping import for_terminal
from tasks.settings import open_database

SHORT_ID = 8
"""Signs of an id that tell a run from the others; every command takes them."""
WIDE = 200
"""Columns of what goes to a file or a pipe."""


def now() -> Activity:
    """Read what goes on.

    Raises:
        DatabaseError: The database did not answer.
    """
    return look(open_database())


def print_once() -> None:
    """Print it on any output.

    Raises:
        DatabaseError: The database did not answer.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    console.print(drawn(now()))


def follow(every: float) -> None:
    """Draw it again and again until Ctrl-C or SIGTERM; what was read last stays while it is away.

    Raises:
        DatabaseError: The database did not answer the first time.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # the terminal is given back as it was
        signal.signal(number, signal.default_int_handler)
    try:
        found = now()
        with Live(drawn(found), screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(every)
                away = None
                try:
                    found = now()
                except DatabaseError as error:
                    away = str(error)
                live.update(drawn(found, away), refresh=True)
    except KeyboardInterrupt:
        return


def drawn(found: Activity, away: str | None = None) -> RenderableType:
    """Return what is shown; nothing in it is obeyed by a terminal, or read as markup."""
    parts: list[RenderableType] = [_shown(_headline(found), "bold")]
    if away is not None:
        parts.append(_shown(f"{away}; this is what was read last", "bold red"))
    parts.append(_queues(found))
    if found.workers:
        parts.append(_workers(found))
    else:
        parts.append(_shown("No worker is there: start one with `caat worker`", "yellow"))
    parts += [_work(found)] if found.at_work else []
    parts += [_waiting(found)] if found.waiting else []
    return Group(*parts)


def _headline(found: Activity) -> str:
    ready = [worker for worker in found.workers if worker.is_ready]
    busy = sum(worker.state == "busy" for worker in ready)
    waiting = count(found.num_waiting, "run waits", "runs wait")
    time_now = datetime.now().astimezone()
    return f"{time_now:%H:%M:%S}  {count(len(ready), 'worker')}, {busy} busy; {waiting}"


def _shown(text: str, style: str = "") -> Text:
    return Text(for_terminal(text), style=style)


def _table(name: str, *columns: str) -> Table:
    table = Table(title=Text(name, style="bold"), title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, header_style="dim", overflow="ellipsis", no_wrap=True)
    return table


def _add(table: Table, *cells: str) -> None:
    table.add_row(*map(_shown, cells))


def _queues(found: Activity) -> Table:
    table = _table("Queues", "Queue", "Waiting", "Oldest", "Workers")
    for queue in found.queues:
        _add(
            table, queue.name, str(queue.waiting), _since(queue.oldest_seconds), str(queue.workers)
        )
    return table


def _workers(found: Activity) -> Table:
    columns = ("Host", "Process", "Device", "State", "Memory", "Utilisation", "Seen", "Works on")
    table = _table("Workers", *columns)
    runs = {work.run.id: work.run for work in found.at_work}
    for worker in found.workers:
        _add(
            table,
            worker.host,
            str(worker.pid),
            f"{worker.device} ({worker.device_name})",
            state_of(worker),
            memory_of(worker),
            utilisation_of(worker),
            seen(worker.seconds_since_seen),
            _work_of(worker, runs),
        )
    return table


def _work_of(worker: WorkerRow, runs: dict[str, RunRow]) -> str:
    if worker.run_id is None:
        return NOTHING
    run = runs.get(worker.run_id)
    return worker.run_id[:SHORT_ID] if run is None else f"{run.id[:SHORT_ID]} {title(run)}"


def _work(found: Activity) -> Table:
    table = _table("In work", "Run", "Name", "Method", "Dataset", "Device", "An epoch", "Where")
    for work in found.at_work:
        run = work.run
        names = (run.id[:SHORT_ID], title(run), run.method, run.dataset, work.device)
        _add(table, *names, _since(work.epoch_seconds), whereabouts(run))
    return table


def _waiting(found: Activity) -> Table:
    table = _table("Waiting", "Run", "Name", "Queue", "Priority", "For", "Why")
    for run in found.waiting:
        place = (run.queue, str(run.priority), _since(run.seconds))
        _add(table, run.id[:SHORT_ID], title(run), *place, why_waiting(run))
    left = found.num_waiting - len(found.waiting)
    if left > 0:
        _add(table, "...", f"and {left:,} more")
    return table


def _since(seconds: float | None) -> str:
    return NOTHING if seconds is None else duration(seconds)


def as_json(found: Activity) -> dict[str, Any]:
    """Return the same as one JSON object."""
    return {
        "queues": [vars(queue) for queue in found.queues],
        "workers": [_worker_as_json(worker) for worker in found.workers],
        "at_work": [_work_as_json(work) for work in found.at_work],
        "waiting": [_waiting_as_json(run) for run in found.waiting],
        "attempts_lost": found.num_lost,
    }


def _worker_as_json(worker: WorkerRow) -> dict[str, Any]:
    names = ("id", "host", "pid", "device", "device_name", "state", "run_id", "version")
    use = ("memory_total", "memory_used", "utilisation", "seconds_since_seen")
    told = {name: getattr(worker, name) for name in names + use}
    return told | {"ready": worker.is_ready, "queues": parted(worker.queues)}


def _work_as_json(work: WorkRow) -> dict[str, Any]:
    run = work.run
    names = ("name", "method", "dataset", "seed", "study", "epoch", "num_epochs", "phase")
    told = {name: getattr(run, name) for name in (*names, "step", "num_steps", "progress")}
    mine = {"kind": run.kind, "device": work.device, "epoch_seconds": work.epoch_seconds}
    return {"run_id": run.id, "status": run.shown_status, "worker_id": run.worker_id} | told | mine


def _waiting_as_json(run: WaitingRow) -> dict[str, Any]:
    told = {name: value for name, value in vars(run).items() if name not in ("id", "wait")}
    return {"run_id": run.id} | told | {"why": why_waiting(run)}
