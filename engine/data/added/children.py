"""Pictures are opened in limited child processes, side by side; see `engine.data.added.decode`."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.data.added.limits import DECODE_MEMORY, DECODE_SECONDS
from engine.data.added.refusal import Refused, told

MOST_CHILDREN = 4
FEW = 128
"""So many orders' worth of pictures need no second child."""
_ROOT = Path(__file__).parents[3]
_GROUP_SECONDS = 60

Told = Callable[[int], object]
"""Is told how many pictures more are done."""


@dataclass(frozen=True)
class Order:
    """Pictures that one child looks at in one go.

    Attributes:
        rows: Where they stand among all, one after the other.
        words: What the child is told.
    """

    rows: range
    words: dict[str, Any]


@dataclass(frozen=True)
class Canvas:
    """Where pictures are decoded to: (N, channels, size, size) bytes from the begin of a file."""

    file: Path
    channels: int
    size: int


def look_at(
    orders: Sequence[Order],
    where: Callable[[int], str],
    told_done: Told,
    *,
    canvas: Canvas | None = None,
    arrow: bool = False,
) -> list[Any]:
    """Have every picture looked at, or decoded to a canvas; return what was found, row by row.

    Args:
        orders: All pictures.
        where: Says where the picture of a row comes from.
        told_done: Is told of progress, by the thread that calls this.
        canvas: Where they are decoded to.
        arrow: Whether the children read Parquet.

    Raises:
        Refused: A picture is wrong, or its child did not survive it.
    """
    found: dict[int, list[Any]] = {}
    wrong: list[tuple[int, str]] = []
    done: queue.SimpleQueue[int] = queue.SimpleQueue()
    waiting: queue.SimpleQueue[Order] = queue.SimpleQueue()
    for order in orders:
        waiting.put(order)
    number = min(MOST_CHILDREN, _cores(), max(1, sum(len(o.rows) for o in orders) // FEW))
    with tempfile.TemporaryDirectory(prefix="caat-") as folder:
        mark = Path(folder) / "mark"
        mark.write_bytes(bytes(8 * number))
        job = {"mark": str(mark), "parquet": arrow, **_as_words(canvas)}
        with contextlib.ExitStack() as stack:
            children = [stack.enter_context(_child({**job, "number": n})) for n in range(number)]

            def work(child: _Handle) -> None:
                while not wrong:
                    try:
                        order = waiting.get_nowait()
                    except queue.Empty:
                        return
                    answer = child.ask(order, mark)
                    if "wrong" in answer:
                        wrong.append(tuple(answer["wrong"]))
                        return
                    found[order.rows.start] = answer["found"]
                    done.put(len(order.rows))

            threads = [threading.Thread(target=work, args=(child,)) for child in children]
            _side_by_side(threads, lambda: _tell(done, told_done))
    if wrong:
        row, rule = min(wrong)
        raise Refused(where(row), rule)
    return [one for start in sorted(found) for one in found[start]]


def _tell(done: queue.SimpleQueue[int], told_done: Told) -> None:
    while not done.empty():
        told_done(done.get())


def _side_by_side(threads: Sequence[threading.Thread], meanwhile: Callable[[], None]) -> None:
    for thread in threads:
        thread.daemon = True  # Ctrl-C need not wait: their children are ended
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.05)
            meanwhile()
    meanwhile()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _as_words(canvas: Canvas | None) -> dict[str, Any]:
    if canvas is None:
        return {}
    return {"out": str(canvas.file), "channels": canvas.channels, "size": canvas.size}


@dataclass(frozen=True)
class _Handle:
    process: subprocess.Popen[bytes]
    number: int

    def ask(self, order: Order, mark: Path) -> dict[str, Any]:
        """Return the child's answer; if it is gone, or takes too long, what is to blame."""
        per_picture = DECODE_SECONDS * len(order.rows) + _GROUP_SECONDS
        try:
            line = self._answer(order, per_picture)
        except (BrokenPipeError, TimeoutError):
            line = b""
        if line.endswith(b"\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        self.process.kill()
        code = self.process.wait()
        row = int(np.fromfile(mark, np.int64)[self.number])
        slow = code == -signal.SIGALRM
        took = f"{DECODE_SECONDS} s" if slow else told(DECODE_MEMORY)
        row = row if row in order.rows else order.rows.start
        return {"wrong": [row, f"cannot be decoded within {took}"]}

    def _answer(self, order: Order, seconds: float) -> bytes:
        asked, answers = self.process.stdin, self.process.stdout
        assert asked is not None
        assert answers is not None
        asked.write(json.dumps(order.words).encode() + b"\n")
        asked.flush()
        ready, _, _ = select.select([answers], [], [], seconds)
        if not ready:
            raise TimeoutError
        return answers.readline()


def parse(file: Path) -> dict[str, Any]:
    """Have a child say what a Parquet file holds, images apart.

    Raises:
        Refused: It is none that can be added.
    """
    process = _started("engine.data.added.parquet", str(file.absolute()))
    try:
        line, _ = process.communicate(timeout=_GROUP_SECONDS)
    except subprocess.TimeoutExpired:
        line = b""
    finally:
        process.kill()
        process.wait()
    if not line.endswith(b"\n"):
        rule = f"cannot be read within {_GROUP_SECONDS} s and {told(DECODE_MEMORY)}"
        raise Refused(file.name, rule)
    answer = json.loads(line)
    if "wrong" in answer:
        raise Refused(file.name, answer["wrong"][1])
    found: dict[str, Any] = answer["found"]
    return found


def _started(module: str, *words: str) -> subprocess.Popen[bytes]:
    """Start a child that has nothing of ours but the paths that it is told."""
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "ARROW_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", module, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd="/",
    )


@contextlib.contextmanager
def _child(job: dict[str, Any]) -> Iterator[_Handle]:
    process = _started("engine.data.added.decode")
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
        yield _Handle(process, job["number"])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
