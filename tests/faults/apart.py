"""A process of its own for a programme: with its installation's settings, and free to fork."""

import os
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Concatenate, ParamSpec, TypeVar
from unittest.mock import patch

from tests.faults.frame import Plan

BROKE_OFF = 70
"""The exit code of a child that an error ended."""
Given = ParamSpec("Given")
Found = TypeVar("Found")


def apart(
    plan: Plan,
    work: Callable[Concatenate[Plan, Given], Found],
    *given: Given.args,
    **named: Given.kwargs,
) -> Found:
    """Do a programme's work in a new process that has one thread, and return what it found.

    Its settings are the plan's, its broker is in its memory, and it waits for nothing: what is
    lost is queued again at once, however often.
    """
    settings = {
        "CAAT_DATA_DIR": str(plan.folder),
        "CAAT_DATABASE_URL": plan.url,
        "CAAT_BROKER_URL": "memory://",
        "CAAT_DEVICE": "cpu",
        "CAAT_RETRY_AFTER_SECONDS": "0",
        "CAAT_MAX_LOST_ATTEMPTS": "1000000",
        "OMP_NUM_THREADS": "1",
    }
    with patch.dict(os.environ, settings), ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, plan, *given, **named).result()


def forked(work: Callable[[], int]) -> int:
    """Start a copy of this process that does some work, and return its id; its code is the work's.

    Whoever forks has no database open.
    """
    child = os.fork()
    if child:
        return child
    code = BROKE_OFF
    try:
        code = work()
    except Exception:  # noqa: BLE001 - told here, since nobody above is told
        traceback.print_exc()
    finally:
        os._exit(code)


def ended(child: int) -> int:
    """Wait for a child and return its exit code, negative if a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
