"""`caat up` as a newcomer uses it: configure in the browser, watch it train, inspect samples."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from db.reads import queries, series
from db.reads.rows import RunDetail
from db.session import Database
from db.settings import sqlite_url
from tests.app.browser import drawn_again, free_port, stand_still, visiting

PATIENCE = 90_000


@pytest.fixture
def installation(data_dir: Path, tmp_path: Path) -> Iterator[tuple[str, Path, Any]]:
    """Everything on one machine, on an empty database: address, data directory, process."""
    port = str(free_port())
    log = tmp_path / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", "up", "--no-demo", "--port", port],
            env={**os.environ, "CAAT_DATA_DIR": str(data_dir), "CAAT_DATABASE_URL": ""},
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(lambda: "CAAT Studio is at" in log.read_text(), 90, log)
        yield f"http://127.0.0.1:{port}", data_dir, process
    finally:
        process.kill()
        process.wait()


def _wait_for(is_there: Any, seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not is_there():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def test_a_run_is_configured_watched_and_inspected_in_the_browser(installation, chromium):
    address, data_dir, up = installation
    with visiting(chromium, address) as visit:
        page = visit.go("/")
        page.set_default_timeout(PATIENCE)
        configure_and_launch(page, "My first run")
        watch_it_move_and_end(page)
        assert_every_class_is_recorded_at_every_epoch(data_dir, "My first run")
        assert_samples_show_distributions_and_images(page)
    assert_nothing_outlives(up)


def test_a_run_is_configured_launched_and_stopped_by_keyboard_and_survives_its_trainer(
    installation, chromium
):
    address, data_dir, up = installation
    with visiting(chromium, address) as visit:
        page = visit.go("/")
        page.set_default_timeout(PATIENCE)
        press(page, page.get_by_role("link", name="New run").first)
        page.get_by_role("heading", name="New run").wait_for()
        stand_still(page)
        type_into(page, page.get_by_label("Name", exact=True).first, "By keyboard")
        type_into(page, page.get_by_label("Epochs", exact=True), "500")
        press(page, page.get_by_role("button", name="Launch"))
        page.get_by_text("Open the run").wait_for()
        press(page, page.get_by_role("link", name="Open the run"))
        title = page.locator(".st-key-run-title")
        title.get_by_text("By keyboard").wait_for()
        title.get_by_text("Running").wait_for()
        page.get_by_text(re.compile(r"Epoch ([2-9]|\d\d+) of 500")).first.wait_for()
        trainer_of(up).kill()
        page.get_by_text("attempt 2").wait_for()  # how it stood between may be over within a look
        title.get_by_text("Running").wait_for()
        press(page, page.locator(".st-key-header-stop button"))
        page.get_by_role("dialog").get_by_text("By keyboard").wait_for()
        press(page, page.get_by_role("button", name="Stop the run"))
        title.get_by_text("Stopped").wait_for()
    run = only_run(data_dir)
    assert (run.name, run.num_epochs) == ("By keyboard", 500)
    assert (run.status, run.reason) == ("cancelled", "user")
    assert [attempt.outcome for attempt in run.attempts] == ["lost", "cancelled"]
    assert 1 <= run.epoch < 500  # the page names the epoch in work


def only_run(data_dir: Path) -> RunDetail:
    database = Database(sqlite_url(data_dir / "caat.db"))
    with database.read() as session:
        (row,) = queries.list_runs(session)
        run = queries.get_run(session, row.id)
    database.dispose()
    assert run is not None
    return run


def press(page: Any, target: Any) -> None:
    """Walk to a control with the Tab key and press Enter on it."""
    walk_to(page, target)
    page.keyboard.press("Enter")


def type_into(page: Any, target: Any, text: str) -> None:
    walk_to(page, target)
    page.keyboard.press("Control+a")
    page.keyboard.type(text)
    with drawn_again(page):
        page.keyboard.press("Enter")


def walk_to(page: Any, target: Any) -> None:
    """Press Tab until the focus is there, whatever may be redrawn on the way."""
    target.wait_for()
    for _ in range(200):
        page.keyboard.press("Tab")
        if target.evaluate("(control) => control === document.activeElement"):
            return
    raise AssertionError(f"{target} cannot be reached with the Tab key")


def trainer_of(up: Any) -> psutil.Process:
    """Return the process that trains, below that of `caat up`."""
    children = psutil.Process(up.pid).children(recursive=True)
    return next(child for child in children if "tasks.trainer" in child.cmdline())


def configure_and_launch(page: Any, name: str) -> None:
    page.get_by_text("New run").first.click()
    page.get_by_role("heading", name="New run").wait_for()
    with drawn_again(page):  # the preset fills the name too
        page.get_by_role("button", name="One-minute demo").click()
    page.get_by_label("Name", exact=True).first.fill(name)
    with drawn_again(page):
        page.get_by_label("Name", exact=True).first.press("Enter")
    page.get_by_role("button", name="Launch").click()
    page.get_by_text("Open the run").click()
    page.get_by_role("heading", name=name).wait_for()


def watch_it_move_and_end(page: Any) -> None:
    panel = 'figure[data-panel="loss"] .js-plotly-plot'
    page.locator(panel).wait_for()
    points = "(plot) => Math.max(...plot._fullData.map((trace) => trace._length || 0))"
    first = page.locator(panel).evaluate(points)
    moved = f"(first) => ({points})(document.querySelector('{panel}')) > first"
    page.wait_for_function(moved, arg=first)
    page.locator(".st-key-run-title").get_by_text("Finished").wait_for()


def assert_every_class_is_recorded_at_every_epoch(data_dir: Path, name: str) -> None:
    database = Database(sqlite_url(data_dir / "caat.db"))
    with database.read() as session:
        (run,) = queries.list_runs(session)
        recorded = series.recorded_epochs(session, run.id)
        weights = series.class_summaries(session, run.id, quantity="anti_adversary_weight")
    database.dispose()
    assert (run.name, run.status, run.result_split) == (name, "succeeded", "test")
    assert recorded == list(range(1, 16))
    everyone = weights[weights["label_group"] == "all"]
    assert everyone.groupby("epoch")["class_index"].nunique().tolist() == [10] * 15


def assert_samples_show_distributions_and_images(page: Any) -> None:
    page.get_by_role("tab", name="Samples").click()
    page.get_by_text(re.compile(r"Anti-adversary weight: highest mean")).wait_for()
    curves = page.locator(".st-key-distribution .js-plotly-plot")
    curves.wait_for()
    assert curves.evaluate("(plot) => plot.data.length") == 10
    images = page.get_by_role("img", name=re.compile("dversary"))
    images.first.wait_for()
    assert images.first.evaluate("(image) => image.naturalWidth") > 0


def assert_nothing_outlives(up: Any) -> None:
    """Ctrl-C ends broker, worker and dashboard, and then `caat up` itself, in good order."""
    children = psutil.Process(up.pid).children(recursive=True)
    assert len(children) >= 3
    up.send_signal(signal.SIGINT)
    assert up.wait(timeout=60) == 0
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
