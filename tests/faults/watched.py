"""The order of a save's system calls, as the kernel saw them."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from db.session import Database
from tests.faults.apart import ended, forked
from tests.faults.frame import Figure, Plan
from tests.faults.reports import claimed, queued_run, worker

CALLS = "openat,write,fsync,fdatasync,rename,renameat,renameat2,pwrite64,sendto,unlink,unlinkat"
WHAT = "order of system calls: bytes, fsync, rename, fsync of the folder, then the row"
STEPS: dict[str, dict[str, str]] = {
    "bytes": {"both": r"write\(\d+<[^>]*\.tmp>"},
    "fsync": {"both": r"fsync\(\d+<[^>]*\.tmp>"},
    "rename": {"both": r"rename\w*\(.*\.tmp\".*\.safetensors\""},
    "fsync of the folder": {"both": r"fsync\(\d+<[^>]*/runs/\w+>"},
    "row": {"sqlite": r"pwrite64\(\d+<[^>]*/caat\.db", "postgresql": r"sendto\(.*INSERT INTO"},
    "commit": {"sqlite": r"f(data)?sync\(\d+<[^>]*/caat\.db", "postgresql": r"sendto\(.*COMMIT"},
}
"""What a step looks like to strace; each comes after the whole of the one before."""


def order_figure(plan: Plan, save: Callable[[str, int], int]) -> Figure:
    """Watch one save with strace, and say whether its calls came in the order that is safe."""
    target = "each after the one before"
    if shutil.which("strace") is None:
        return Figure(WHAT, target, "not looked at: strace is not installed", ok=True)
    trace = plan.folder / "trace.txt"
    _watch(plan, save, trace)
    places = {
        name: _places(trace, looks.get("both") or looks[plan.kind]) for name, looks in STEPS.items()
    }
    missing = [name for name, found in places.items() if not found]
    ordered = list(places.values())
    met = not missing and all(max(one) < min(two) for one, two in pairwise(ordered[:5]))
    met = met and max(places["row"]) < max(places["commit"])
    told = f"never seen: {missing}" if missing else f"at call {_first_calls(places)} of the save"
    return Figure(f"{WHAT} (strace)", target, told, ok=met)


def _first_calls(places: dict[str, list[int]]) -> str:
    return ", ".join(str(found[-1]) for found in places.values())


def _watch(plan: Plan, save: Callable[[str, int], int], trace: Path) -> None:
    """Save in a child that waits until strace looks on."""
    database = Database(plan.url)
    run_id = queued_run(database)
    attempt = claimed(database, run_id, worker(1))
    database.dispose()
    ready, go = os.pipe()

    def wait_and_save() -> int:
        os.read(ready, 1)
        return save(run_id, attempt)

    child = forked(wait_and_save)
    command = ["strace", "-f", "-y", "-s", "200", "-e", f"trace={CALLS}", "-o", str(trace)]
    watcher = subprocess.Popen([*command, "-p", str(child)], stderr=subprocess.PIPE, text=True)
    assert watcher.stderr is not None
    told = watcher.stderr.readline()
    os.write(go, b".")
    code = ended(child)
    watcher.communicate()
    os.close(ready)
    os.close(go)
    if code or "attached" not in told:
        raise RuntimeError(f"the watched save ended with code {code}: {told.strip()}")


def _places(trace: Path, look: str) -> list[int]:
    """Return the numbers of the lines that look so."""
    pattern = re.compile(look)
    lines = trace.read_text(errors="replace").splitlines()
    return [number for number, line in enumerate(lines, 1) if pattern.search(line)]
