"""Would the tests notice? One fault at a time is put into the product, and the nearest tests run.

    pip install -e '.[dev,mutation]'
    python benchmarks/mutation.py cover [TEST ...]   which test runs which line: of a short run, or
                                                     of these files, beside what is known already
    python benchmarks/mutation.py draw [--mutants 440] [--seed 0]
    python benchmarks/mutation.py run [--again] [--tests-seconds 40]
                                                     every mutant that has no result yet, or those
                                                     too that were missed; in an order by chance
    python benchmarks/mutation.py page               write docs/mutation.md

The faults are cosmic-ray's, drawn in equal parts from the four packages. Of each, the tests that
run its line are tried, the most specific first, and then those that read the code or hold documents
against it, for at most 60 seconds in all. It is noticed if one fails, or if they do not end in time
and do without the fault. What is found stands in docs/mutation.json, a result at a time: a run that
was broken off goes on.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue

# A benchmark beside this file is called like a package, and its folder is first on the path.
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path = [str(ROOT), *(entry for entry in sys.path if Path(entry).resolve() != HERE)]

from coverage import CoverageData

from benchmarks.mutant_tests import started
from benchmarks.mutants import GONE, MISSED, PACKAGES, Mutant, located, sample
from benchmarks.mutation_page import write_page
from benchmarks.statements import importers, run_with

FOUND = ROOT / "docs" / "mutation.json"
STATE = ROOT / "build" / "mutation"
COVERED = STATE / "coverage"
SECONDS = 60.0
"""A mutant's tests have so long."""
CHOSEN = 40.0
"""Tests are chosen that took so long together: the rest is for the start. With less, a first
run is over sooner, and ``--again`` asks more tests of what it missed."""
NEW = 0.2
"""What a test counts whose time is not recorded: it is new, and most likely quick."""
STOPS_WITHIN = 10.0
STANDING = ["tests/test_habits.py", "tests/test_architecture.py"]
"""They read the code, or hold documents against it, and run no line of most faults: all are asked
of each, after the others."""
OPTIONS = f"""
[run]
source = {", ".join(PACKAGES)}
relative_files = true
parallel = true
patch = subprocess, _exit
sigterm = true
data_file = {COVERED}
context = ${{PYTEST_CURRENT_TEST-}}
disable_warnings = no-data-collected, module-not-measured, module-not-imported
"""
"""Processes that a test starts are asked too, those also that end at once by ``os._exit``; their
context is what pytest tells them by itself."""


def cover(tests: list[str]) -> None:
    """Run tests and note which of them runs which line; several calls add up.

    A process of pytest-xdist may end before its lines are kept: its tests are run once more.
    """
    STATE.mkdir(parents=True, exist_ok=True)
    options = STATE / "coveragerc"
    options.write_text(OPTIONS)
    _run_covered(options, tests)
    for _ in range(2):
        unknown = sorted(Tests().files_without_lines())
        if not unknown:
            return
        _run_covered(options, unknown)
    print("No line is known of the tests in", *sorted(Tests().files_without_lines()), flush=True)


def _run_covered(options: Path, tests: list[str]) -> None:
    command = [sys.executable, "-m", "pytest", "-n", "3", "--dist", "worksteal", "-q"]
    command += ["--cov", f"--cov-config={options}", "--cov-context=test", "--cov-report="]
    command += ["-p", "no:cacheprovider", "--short", *(["--cov-append", *tests] if tests else [])]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, env=environment, check=False)


class Tests:
    """Which tests run a line, and how long each takes."""

    def __init__(self) -> None:
        self.covered = CoverageData(str(COVERED))
        self.covered.read()
        self.seconds: dict[str, float] = json.loads((ROOT / "tests/durations.json").read_text())
        self.reach: Counter[str] = Counter()
        self._lines: dict[str, dict[int, set[str]]] = {}
        there = collected()
        for file in self.covered.measured_files():
            self._lines[file] = {
                line: {test for test in map(_test_of, contexts) if test in there}
                for line, contexts in self.covered.contexts_by_lineno(file).items()
            }
            for tests in self._lines[file].values():
                self.reach.update(tests)

    def files_without_lines(self) -> set[str]:
        """Return the files of tests of which no test is known to run a line of the product."""
        files = {test.partition("::")[0] for test in self.seconds}
        return files - {test.partition("::")[0] for test in self.reach}

    def of(self, mutant: Mutant, seconds: float) -> list[str]:
        """Return the tests to try, so long together, most specific first.

        A line that runs when its file is loaded has no tests of its own: there, all in the files
        of tests that run some of the file, or import it.
        """
        lines = self._lines.get(mutant.file, {})
        here: Counter[str] = Counter()
        for tests in lines.values():
            here.update(tests)
        code = (ROOT / mutant.file).read_text("utf-8")
        able = set().union(*(lines.get(line, ()) for line in run_with(code, mutant.line)))
        able = able or self._beside(mutant.file, here)
        taken, chosen = 0.0, []
        for test in sorted(able, key=lambda test: (self.seconds.get(test, NEW), -here[test], test)):
            taken += self.seconds.get(test, NEW) + 0.02
            if chosen and taken > seconds:
                break
            chosen.append(test)
        return [*sorted(chosen, key=lambda test: -here[test] / self.reach[test]), *STANDING]

    def _beside(self, file: str, here: Iterable[str]) -> set[str]:
        """Return the tests in the files of some tests, or in those that import a file."""
        module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        files = {test.partition("::")[0] for test in here} | importers(module, ROOT / "tests")
        return {test for test in self.reach if test.partition("::")[0] in files}


def collected() -> set[str]:
    """Return today's tests: one that is gone since its lines were noted would fail every fault."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return {line for line in told.splitlines() if "::" in line}


def _test_of(context: str) -> str:
    """Return the test of a context: ``test|phase`` in pytest, ``test (phase)`` in a child of it."""
    return re.sub(r"(\|(run|setup|teardown)| \((call|setup|teardown)\))$", "", context)


class Tree:
    """A copy of the project in which files are changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
        for name in filter(None, names.split("\0")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
        self._moment = 1_000_000_000

    def write(self, file: str, code: str) -> None:
        """Change a file; its time is new, since Python trusts a compiled file of the same time."""
        self._moment += 2
        (self.folder / file).write_text(code, "utf-8")
        os.utime(self.folder / file, (self._moment, self._moment))

    def test(self, tests: list[str]) -> tuple[str, str]:
        """Run tests until one fails; return ``missed``, ``failed`` or ``time``, and what failed."""
        output = self.folder.with_suffix(".txt")
        process = started(self.folder, tests, output)
        process.join(SECONDS)
        in_time = process.exitcode is not None
        if not in_time and process.pid:
            os.kill(process.pid, signal.SIGINT)  # so that servers of its tests are stopped
            process.join(STOPS_WITHIN)
        _end_session(process.pid or 0)
        process.join()
        if not in_time:
            return "time", ""
        if process.exitcode == 0:
            return MISSED, ""
        said = output.read_text("utf-8", errors="replace").splitlines()
        failed = [line for line in said if line.startswith(("FAILED", "ERROR"))]
        return "failed", (failed or [f"exit code {process.exitcode}"])[0][:160]


def _end_session(leader: int) -> None:
    """End what a run of tests left behind, by the session that it began."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            pid = int(entry.name)
            try:
                if os.getsid(pid) == leader:
                    os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue


def examine(tree: Tree, mutant: Mutant, tests: list[str]) -> dict[str, object]:
    """Put a mutant into a tree, try the tests, take it out."""
    code = (ROOT / mutant.file).read_text("utf-8")
    before, after = mutant.lines(code)
    began = time.monotonic()
    outcome, by = MISSED, ""
    while tests:
        tree.write(mutant.file, mutant.applied(code))
        try:
            outcome, by = tree.test(tests)
        finally:
            tree.write(mutant.file, code)
        if outcome != "time" or tree.test(tests)[0] == MISSED:
            break
        outcome, tests = MISSED, tests[: len(tests) // 2]
    told = {"before": before, "after": after, "outcome": outcome, "by": by, "tests": len(tests)}
    return {**asdict(mutant), **told, "seconds": round(time.monotonic() - began, 1)}


class Found:
    """The mutants that were drawn, each with what was found of it."""

    def __init__(self) -> None:
        self.told = json.loads(FOUND.read_text()) if FOUND.exists() else {"mutants": []}
        self._lock = threading.Lock()

    def mutants(self, *, again: bool) -> Iterable[tuple[int, Mutant]]:
        """Give those that have no result yet, or were missed too."""
        for place, told in enumerate(self.told["mutants"]):
            if "outcome" not in told:
                yield place, Mutant(**told)
            elif again and told["outcome"] == MISSED:
                path = ROOT / told["file"]
                mutant = located(told, path.read_text("utf-8")) if path.exists() else None
                if mutant is None:
                    self.note(place, {**told, "outcome": GONE})
                else:
                    yield place, mutant

    def draw(self, number: int, seed: int) -> None:
        mutants = [asdict(mutant) for mutant in sample(ROOT, number, seed)]
        self.told = {"seed": seed, "tests_seconds": 0.0, "mutants": mutants}
        self.store()

    def note(self, place: int, result: dict[str, object]) -> None:
        with self._lock:
            self.told["mutants"][place] = result
            self.store()

    def store(self) -> None:
        lines = ",\n".join(json.dumps(told, ensure_ascii=False) for told in self.told["mutants"])
        head = json.dumps({key: self.told[key] for key in self.told if key != "mutants"})[:-1]
        temporary = FOUND.with_suffix(".tmp")
        temporary.write_text(f'{head}, "mutants": [\n{lines}\n]}}\n')
        temporary.replace(FOUND)


def run(found: Found, processes: int, *, again: bool, seconds: float) -> None:
    """Examine mutants, several at once, each in a tree of its own."""
    tests = Tests()
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        trees: SimpleQueue[Tree] = SimpleQueue()
        for number in range(processes):
            trees.put(Tree(Path(folder) / str(number)))

        def one(place: int, mutant: Mutant) -> None:
            tree = trees.get()
            try:
                result = examine(tree, mutant, tests.of(mutant, seconds))
            finally:
                trees.put(tree)
            found.note(place, result)
            print(f"{result['outcome']:7} {mutant.file}:{mutant.line} {result['seconds']} s "
                  f"{result['after']}", flush=True)  # fmt: skip

        with ThreadPoolExecutor(processes) as pool:
            wanted = list(found.mutants(again=again))
            random.Random(0).shuffle(wanted)  # so that a part of it tells of all
            begun = [pool.submit(one, *item) for item in wanted]
            for future in begun:
                future.result()
    found.told["tests_seconds"] = seconds  # every fault that was missed was asked so much by now
    found.store()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("what", choices=["cover", "draw", "run", "page"])
    options.add_argument("tests", nargs="*")
    options.add_argument("--mutants", type=int, default=440)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--again", action="store_true")
    options.add_argument("--tests-seconds", type=float, default=CHOSEN)
    chosen = options.parse_args()
    if chosen.what == "cover":
        cover(chosen.tests)
    elif chosen.what == "draw":
        Found().draw(chosen.mutants, chosen.seed)
    elif chosen.what == "run":
        run(Found(), chosen.processes, again=chosen.again, seconds=chosen.tests_seconds)
    else:
        write_page(FOUND)


if __name__ == "__main__":
    main()
