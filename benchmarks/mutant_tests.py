"""One run of pytest in a tree of its own, as a fork of a process that has loaded the libraries."""

import os
import sys
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

LIBRARIES = (
    *("pytest", "torch", "numpy", "scipy.stats", "sklearn.datasets"),
    *("sqlalchemy.orm", "alembic.config", "pydantic_settings", "celery", "redis", "typer"),
    *("plotly.graph_objects", "psutil", "playwright.sync_api"),
)
"""Loaded once: none of ours, and none that starts threads of its own."""

_forks = get_context("forkserver")
_forks.set_forkserver_preload(list(LIBRARIES))


def started(folder: Path, tests: list[str], output: Path) -> BaseProcess:
    """Start the tests of a tree until one fails; the process leads a session of its own."""
    process = _forks.Process(target=_run, args=(folder, tests, output))
    process.start()
    return process


def _run(folder: Path, tests: list[str], output: Path) -> None:
    os.setsid()
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    os.environ |= {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    sys.path.insert(0, str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
        del sys.modules[name]
    import pytest

    code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]))
    sys.stdout.flush()
    os._exit(code)
