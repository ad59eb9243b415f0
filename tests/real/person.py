"""A real user of the system who runs our program in processes of their own."""

import atexit
import grp
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUICK = {"CAAT_SWEEP_SECONDS": "0.5", "CAAT_RETRY_AFTER_SECONDS": "1"}
SEVERAL = """
import sys, time
from app.cli.main import main
from db.reads import queries
from tasks.processes.process import init_process
from tasks.settings import open_database

def wait_until(run_id, is_so):
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        with open_database().read() as session:
            if is_so(queries.get_run(session, run_id)):
                return
        time.sleep(0.2)
    raise TimeoutError(run_id)

def wait(run_id, *statuses):
    wait_until(run_id, lambda run: run.status in statuses)

def advance(run_id):
    epochs = []
    wait_until(run_id, lambda run: epochs.append(run.epoch) or epochs[-1] > epochs[0])

def runs():
    with open_database().read() as session:
        rows = queries.list_runs(session)
    return [row.id for row in sorted(rows, key=lambda row: row.num_epochs)]

init_process()
for line in sys.stdin.read().splitlines():
    words = [runs()[int(word[1:])] if word.startswith("@") else word for word in line.split()]
    if words[0] in ("wait", "advance"):
        globals()[words[0]](*words[1:])
        continue
    sys.argv = ["caat", *words]
    try:
        main()
    except SystemExit as end:
        print(f"exit {end.code}", flush=True)
"""
"""Commands of standard input in one process: @0 is the shortest run, `wait` waits for a status and
`advance` for an epoch."""


@cache
def python_for_all() -> str:
    """Return this interpreter, or its like where another user may run it too."""
    real = Path(sys.executable).resolve()
    if all(place.stat().st_mode & 0o001 for place in [real, *real.parents]):
        return sys.executable
    top = Path(tempfile.mkdtemp(prefix="caat-python-"))
    atexit.register(shutil.rmtree, top)
    top.chmod(0o755)
    library = f"lib/python{sys.version_info.major}.{sys.version_info.minor}"
    unneeded = shutil.ignore_patterns("site-packages", "test")
    base = Path(sys.base_prefix)
    shutil.copytree(base / library, top / library, ignore=unneeded, copy_function=linked)
    for shared in (base / "lib").glob("libpython*.so*"):
        linked(shared, top / "lib" / shared.name)
    (top / "bin").mkdir()
    linked(real, top / "bin" / real.name)
    return str(top / "bin" / real.name)


def linked(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another disk
        shutil.copy2(source, target)


@dataclass
class Person:
    """A real user of the system who runs our program."""

    name: str
    data: Path
    home: Path
    umask: int
    settings: dict[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()

    def start(self, *words: str, **options: object) -> "subprocess.Popen[str]":
        other = self.name != pwd.getpwuid(os.geteuid()).pw_name
        python = python_for_all() if other else sys.executable
        about = pwd.getpwnam(self.name)
        gids = [grp.getgrnam(name).gr_gid for name in self.groups]
        who = {"user": about.pw_uid, "group": about.pw_gid, "extra_groups": gids} if other else {}
        own = (place for place in sys.path if not Path(place).is_relative_to(sys.base_prefix))
        code_path = os.pathsep.join([str(ROOT), *filter(None, own)])
        return subprocess.Popen(
            [python, *words],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "LD_LIBRARY_PATH": str(Path(python).parents[1] / "lib"),
                "PYTHONPATH": code_path,
                "PYTHONDONTWRITEBYTECODE": "1",
                "OMP_NUM_THREADS": "1",
                "CAAT_DATA_DIR": str(self.data),
                **QUICK,
                **self.settings,
            },
            cwd=self.home,
            umask=self.umask,
            text=True,
            **who,
            **options,
        )

    def caat(self, *lines: str) -> tuple[list[int], str, str]:
        """Run commands in one process of this person; give their exit codes and output."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = self.start("-c", SEVERAL, **pipes)
        out, err = process.communicate("\n".join(lines), timeout=300)
        codes = [int(code) for code in re.findall(r"^exit (\d+)$", out, flags=re.MULTILINE)]
        return codes, out, err

    @contextmanager
    def up(self) -> Iterator[None]:
        """Keep `caat up` running: broker, worker and dashboard."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        with self.staying("up", "--no-demo", "--port", port) as log:
            wait_for(lambda: "CAAT Studio is at" in log.read_text(), log)
            yield

    @contextmanager
    def staying(self, *words: str) -> Iterator[Path]:
        """Keep a command running; give the file of its output."""
        log = self.home / f"{words[0]}.log"
        with log.open("w") as output:
            process = self.start("-m", "app.cli.main", *words, stdout=output, stderr=output)
        try:
            yield log
        finally:
            process.terminate()
            process.wait(60)


def wait_for(is_there: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 180
    while not is_there():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)
