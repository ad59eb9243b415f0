"""The short run: every rule once, at the setting that takes the least time.

    pytest --short                      what `make test` runs
    pytest --record-durations           write down how long each test takes; after a full run

A rule is a test function. Its settings (`[...]`) beyond the cheapest are left to the full run,
unless they take next to nothing; so are the few rules that are dear at any setting. What has no
duration yet always runs.
"""

import json
from collections import defaultdict
from pathlib import Path

import pytest

DURATIONS = Path(__file__).parent / "durations.json"
CHEAP = 0.2
"""Seconds of a test that is never left out."""
DEAR = 12.0
"""Seconds of a rule that only the full run checks."""


def rule_of(nodeid: str) -> str:
    """Return the test function of a test, without its setting."""
    return nodeid.partition("[")[0]


def left_out(seconds: dict[str, float]) -> set[str]:
    """Return the tests of the full run, by how long each takes, that the short one leaves out."""
    settings: dict[str, list[str]] = defaultdict(list)
    for nodeid in seconds:
        settings[rule_of(nodeid)].append(nodeid)
    kept = {min(nodeids, key=lambda nodeid: seconds[nodeid]) for nodeids in settings.values()}
    return {
        nodeid
        for nodeid, taken in seconds.items()
        if taken > CHEAP and (nodeid not in kept or taken > DEAR)
    }


class ShortRun:
    """Leaves out what only the full run checks."""

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        known = json.loads(DURATIONS.read_text())
        here = {item.nodeid: known[item.nodeid] for item in items if item.nodeid in known}
        out = left_out(here)
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in out])
        items[:] = [item for item in items if item.nodeid not in out]


class Recorder:
    """Writes down how long each test took, with what it set up and took down.

    A short run keeps what is known of the tests that it leaves out.
    """

    def __init__(self, *, short: bool) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.known = json.loads(DURATIONS.read_text()) if short else {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        here = {name: round(taken, 1) for name, taken in self.seconds.items()}
        told = dict(sorted({**self.known, **here}.items()))
        DURATIONS.write_text(json.dumps(told, indent=0, ensure_ascii=False) + "\n")


def add_options(parser: pytest.Parser) -> None:
    parser.addoption("--short", action="store_true", help="every rule once, as `make test` does")
    parser.addoption("--record-durations", action="store_true", help="into tests/durations.json")


def configure(config: pytest.Config) -> None:
    if config.getoption("--short"):
        config.pluginmanager.register(ShortRun())
    is_worker = hasattr(config, "workerinput")  # of pytest-xdist; the controller is told all
    if config.getoption("--record-durations") and not is_worker:
        config.pluginmanager.register(Recorder(short=config.getoption("--short")))
