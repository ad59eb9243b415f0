"""What Prometheus asks for: queues, runs, workers and devices, as the database knows them.

Names of runs, people and studies are not among it.
"""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import typer
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from db.errors import DatabaseError
from db.reads.activity import Activity, activity
from db.reads.rows import WorkerRow
from db.session import Database
from engine.errors import UserError
from engine.names import visible
from tasks.escaping import for_terminal
from tasks.settings import open_database

Sample = tuple[tuple[str, ...], float | None]
_OF_WORKER = ("worker", "host", "device")
_OF_DEVICE = ("host", "device", "name")


def serve_metrics(address: str, port: int) -> Callable[[], None]:
    """Answer Prometheus in threads of its own; return what ends it.

    Raises:
        UserError: The port is taken, or the address is none of this machine's.
    """
    registry = CollectorRegistry()
    registry.register(FromDatabase())
    try:
        server, _ = start_http_server(port, address, registry)
    except (socket.gaierror, UnicodeError):
        raise UserError(f"--address: {address!r} is no address of this machine") from None
    except OSError as error:
        told = f"cannot listen at {address}, port {port}: {error.strerror or error}"
        raise UserError(f"--port: {told}; choose another") from None

    def end() -> None:
        server.shutdown()
        server.server_close()

    return end


class FromDatabase(Collector):
    """Reads the database once for each time that it is asked."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._complaint: str | None = None
        self._database: Database | None = None
        self._lost_there: int | None = None
        self._lost = 0

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: registering asks no database."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Give every number; of a database that is away only that it is."""
        with self._one_at_a_time:
            found = self._read()
            lost = 0 if found is None else self._never_less(found.num_lost)
        yield _gauge("caat_database_up", "Whether the database answers", [((), found is not None)])
        if found is not None:
            yield from _of_runs(found)
            yield _counter("caat_attempts_lost", "Attempts that lost their worker", lost)
            yield from _of_workers(found.workers)

    def _read(self) -> Activity | None:
        try:
            self._database = self._database or open_database()  # which looks at its revision
            with self._database.read() as session:
                found = activity(session, most_waiting=0)
        except (DatabaseError, OSError) as error:
            self._database = None
            self._complain(str(error))
            return None
        self._complain(None)
        return found

    def _complain(self, why: str | None) -> None:
        """Say once on stderr why there are no numbers."""
        if why is not None and why != self._complaint:
            told = f"caat: {why}; answering caat_database_up 0"
            typer.echo(for_terminal(told), err=True)
        self._complaint = why

    def _never_less(self, there: int) -> int:
        """Count on where lost attempts are deleted with their runs: a counter only grows."""
        self._lost += max(0, there - (self._lost_there or 0))
        self._lost_there = there
        return self._lost


def _of_runs(found: Activity) -> Iterator[Metric]:
    queues = [((queue.name,), queue) for queue in found.queues]
    length = [(name, queue.waiting) for name, queue in queues]
    oldest = [(name, queue.oldest_seconds or 0.0) for name, queue in queues]
    yield _gauge("caat_queue_length", "Runs that wait in a queue", length, "queue")
    yield _gauge("caat_queue_oldest_seconds", "For how long the oldest waits", oldest, "queue")
    yield _gauge("caat_runs", "Runs by where they stand", found.counts.items(), "status", "kind")
    epochs = [
        ((work.run.id, work.device, work.run.dataset, work.run.method), work.epoch_seconds)
        for work in found.at_work
    ]
    labels = ("run", "device", "dataset", "method")
    yield _gauge("caat_epoch_seconds", "Of an epoch of a run in work", epochs, *labels)


def _of_workers(workers: list[WorkerRow]) -> Iterator[Metric]:
    names = [((worker.id, worker.host, worker.device), worker) for worker in workers]
    up = [(name, worker.is_present) for name, worker in names]
    busy = [(name, worker.state == "busy") for name, worker in names]
    yield _gauge("caat_worker_up", "Whether a worker was seen lately", up, *_OF_WORKER)
    yield _gauge("caat_worker_busy", "Whether a worker has a run", busy, *_OF_WORKER)
    # Workers of one device say the same of it; the one that was seen last comes first.
    devices: dict[tuple[str, ...], WorkerRow] = {}
    for worker in (worker for worker in workers if worker.is_present):
        devices.setdefault((worker.host, worker.device, worker.device_name), worker)
    used = [(name, worker.memory_used) for name, worker in devices.items()]
    total = [(name, worker.memory_total) for name, worker in devices.items()]
    use = [(name, worker.utilisation) for name, worker in devices.items()]
    yield _gauge("caat_device_memory_used_bytes", "Of a worker's device", used, *_OF_DEVICE)
    yield _gauge("caat_device_memory_total_bytes", "Of a worker's device", total, *_OF_DEVICE)
    yield _gauge("caat_device_utilisation_ratio", "Share that was busy, 0 to 1", use, *_OF_DEVICE)


def _gauge(name: str, about: str, samples: Iterable[Any], *labels: str) -> Metric:
    family = GaugeMetricFamily(name, about, labels=labels)
    for values, number in samples:
        if number is not None:
            family.add_metric([visible(value) for value in values], float(number))
    return family


def _counter(name: str, about: str, number: int) -> Metric:
    return CounterMetricFamily(name, about, value=number)
