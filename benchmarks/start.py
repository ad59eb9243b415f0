"""What a command costs before it works: seconds and memory, beside a bare import of SQLAlchemy.

``python benchmarks/start.py`` prints a table; every row is the best of a few rounds, taken in turn,
so that whatever else this machine does falls on all of them.
"""

import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from http import HTTPStatus
from pathlib import Path

import psutil

ROUNDS = 3
PATIENCE = 60.0
CAAT = [sys.executable, "-m", "app.cli.main"]
SERVERS = {
    "streamlit hello": [
        *(sys.executable, "-m", "streamlit", "hello"),
        *("--server.headless", "true", "--browser.gatherUsageStats", "false", "--server.port"),
    ],
    "caat up": [*CAAT, "up", "--port"],
}
"""Their port follows. Measured until the first page is served."""
MEASURED = """
import resource, subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
seconds = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
"""A process of its own for each: the peak of children is that of the largest so far."""


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Return seconds, seconds of the processor, and the peak in MB."""
    words = [sys.executable, "-c", MEASURED, *command]
    found = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    seconds, processor, peak = map(float, found.stdout.split())
    return seconds, processor, peak / 1024


def idle_worker(environment: dict[str, str]) -> tuple[float, float, float]:
    """Return seconds until a worker says that it is idle, of the processor too, and its MB then."""
    began = time.monotonic()
    with subprocess.Popen([*CAAT, "worker"], env=environment, stderr=subprocess.DEVNULL) as worker:
        try:
            about = psutil.Process(worker.pid)
            while not _is_idle(environment) and time.monotonic() < began + PATIENCE:
                time.sleep(0.1)
            seconds, used = time.monotonic() - began, about.cpu_times()
            time.sleep(3)  # what it does once at its start is done by then
            return seconds, used.user + used.system, about.memory_info().rss / 2**20
        finally:
            worker.terminate()


def served(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Return seconds until the first page is served, of the processors too, and MB of all then."""
    port = free_port()
    began = time.monotonic()
    words = [*command, str(port)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, env=environment, stdout=quiet, stderr=quiet) as server:
        try:
            while not _is_served(port) and time.monotonic() < began + PATIENCE:
                time.sleep(0.02)
            seconds = time.monotonic() - began
            top = psutil.Process(server.pid)
            family = [top, *top.children(recursive=True)]
            used = [one.cpu_times() for one in family]
            memory = sum(one.memory_info().rss for one in family) / 2**20
            return seconds, sum(one.user + one.system for one in used), memory
        finally:
            server.terminate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _is_served(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1) as answer:
            return answer.status == HTTPStatus.OK
    except OSError:
        return False


def _is_idle(environment: dict[str, str]) -> bool:
    with sqlite3.connect(Path(environment["CAAT_DATA_DIR"]) / "caat.db") as connection:
        return bool(connection.execute("SELECT 1 FROM worker WHERE state = 'idle'").fetchall())


def main() -> None:
    """Measure, and print a table in Markdown."""
    with tempfile.TemporaryDirectory(prefix="caat-") as folder:
        scenario = Path(folder) / "scenario.toml"
        scenario.write_text('[data]\ndataset = "digits"\n')
        environment = os.environ | {"CAAT_DATA_DIR": folder, "CAAT_SWEEP_SECONDS": "600"}
        subprocess.run([*CAAT, "db", "upgrade"], env=environment, check=True, capture_output=True)
        commands = {
            "python -c 'import sqlalchemy'": [sys.executable, "-c", "import sqlalchemy"],
            "python -c 'import torch'": [sys.executable, "-c", "import torch"],
            "python -c 'import engine'": [sys.executable, "-c", "import engine"],
            "from engine import every name": [sys.executable, "-c", "from engine import *"],
            "caat --help": [*CAAT, "--help"],
            "caat status": [*CAAT, "status"],
            "caat launch": [*CAAT, "launch", str(scenario)],
        }
        rounds = [
            {title: measured(command, environment) for title, command in commands.items()}
            for _ in range(ROUNDS)
        ]
        _stop_all(environment)
        best = {title: _least([each[title] for each in rounds]) for title in commands}
        best["caat worker, idle"] = idle_worker(environment)
        servers = [
            {title: served(command, environment) for title, command in SERVERS.items()}
            for _ in range(ROUNDS)
        ]
        best |= {title: _least([each[title] for each in servers]) for title in SERVERS}
    _print(best)


def _least(found: list[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(min(values) for values in zip(*found, strict=True))


def _stop_all(environment: dict[str, str]) -> None:
    said = subprocess.run(
        [*CAAT, "status"], env=environment, capture_output=True, text=True, check=True
    )
    for run_id in re.findall(r"^[0-9a-f]{32}", said.stdout, re.MULTILINE):
        subprocess.run([*CAAT, "stop", run_id], env=environment, check=True, capture_output=True)


def _print(best: dict[str, tuple[float, ...]]) -> None:
    print("| command | seconds | processor seconds | ratio | MB | ratio |")
    print("|---|---|---|---|---|---|")
    base = next(iter(best.values()))
    for title, (seconds, processor, peak) in best.items():
        print(
            f"| `{title}` | {seconds:.2f} | {processor:.2f} | {processor / base[1]:.1f} "
            f"| {peak:.0f} | {peak / base[2]:.1f} |"
        )


if __name__ == "__main__":
    main()
