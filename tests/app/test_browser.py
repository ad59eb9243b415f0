"""The dashboard in a real browser: what only a browser can show."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db import queries, transitions
from db.models import RunStatus

ROOT = Path(__file__).parents[2]
OWN = re.compile(r"^((http|ws)://127\.0\.0\.1:\d+/|data:|blob:|about:)")
PROBE = re.compile(r"/(run|new|theory|fairness|tradeoff|samples)/_stcore/(health|host-config)$")
"""Streamlit looks for its server below a page's path first, and is told 404."""


@pytest.fixture
def server(studio: Any, data_dir: Path) -> Iterator[str]:
    """A dashboard of its own on a free port; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "CAAT_DATA_DIR": str(data_dir),
        "CAAT_BROKER_URL": "redis://127.0.0.1:1/0",
    }
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py", f"--server.port={port}"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(lambda: _answers(f"{address}/_stcore/health"), 60)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@dataclass
class Visit:
    """A tab of a browser, and what went wrong or over the wire in it."""

    page: Any
    address: str
    outside: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    received: int = 0

    def watch(self) -> None:
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("response", self._note_failure)
        self.page.on("websocket", lambda ws: ws.on("framereceived", self._count))

    def _note(self, url: str) -> None:
        if not OWN.match(url):
            self.outside.append(url)

    def _note_failure(self, response: Any) -> None:
        if response.status >= 400 and not PROBE.search(response.url):
            self.complaints.append(f"{response.status} {response.url}")

    def _count(self, frame: Any) -> None:
        self.received += len(frame)

    def go(self, path: str) -> Any:
        self.page.goto(f"{self.address}{path}")
        app = self.page.locator("[data-testid=stApp][data-test-connection-state=CONNECTED]")
        app.wait_for(timeout=60_000)
        self.page.locator("[data-test-script-state=notRunning]").wait_for(timeout=60_000)
        return self.page


@pytest.fixture
def visit(chromium: Any, server: str) -> Iterator[Visit]:
    """A fresh visitor, whose every request stays on this machine."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    visitor = Visit(context.new_page(), server)
    visitor.page.set_default_timeout(30_000)
    visitor.watch()
    yield visitor
    context.close()
    assert not visitor.outside
    assert not visitor.complaints


def plot(page: Any, panel: str) -> Any:
    return page.locator(f'figure[data-panel="{panel}"] .js-plotly-plot')


def hide_first_series(page: Any, panel: str) -> None:
    plot(page, panel).locator(".legendtoggle").first.click()
    shown(page, panel, "plot._fullData[0].visible === 'legendonly'")


def zoom(page: Any, panel: str) -> list[float]:
    """Drag over the middle of a panel and return the range that is then shown."""
    box = plot(page, panel).locator(".nsewdrag").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], middle + 2, steps=5)
    page.mouse.up()
    shown(page, panel, "plot._fullLayout.xaxis.autorange === false")
    return list(plot(page, panel).evaluate("(plot) => plot._fullLayout.xaxis.range"))


def shown(page: Any, panel: str, condition: str) -> None:
    page.wait_for_function(
        f"""(panel) => {{
            const plot = document.querySelector(`figure[data-panel="${{panel}}"] .plot`);
            return {condition};
        }}""",
        arg=panel,
    )


def test_zoom_legend_and_node_survive_three_refreshes(studio, visit):
    run_id = studio.running("Live", epochs=3)
    page = visit.go(f"/run?id={run_id}")
    plot(page, "worst").locator(".nsewdrag").wait_for()
    plot(page, "worst").evaluate("(plot) => { plot.dataset.mark = 'mine'; }")
    hide_first_series(page, "worst")
    zoomed = zoom(page, "worst")
    for epoch in range(4, 7):
        studio.record_epoch(run_id, epoch)
        shown(page, "worst", f"plot._fullData.some((trace) => trace._length === {epoch})")
        kept = plot(page, "worst").evaluate(
            """(plot) => [
                plot.dataset.mark, plot._fullLayout.xaxis.range, plot._fullData[0].visible
            ]"""
        )
        assert kept == ["mine", zoomed, "legendonly"]


def test_every_panel_fits_its_frame(studio, visit):
    page = visit.go(f"/run?id={studio.running('Live')}")
    plot(page, "rate").locator(".nsewdrag").wait_for()
    wide = page.evaluate(
        """() => [...document.querySelectorAll("figure[data-panel]")].filter((figure) =>
            figure.querySelector(".main-svg").getBoundingClientRect().right
                > figure.getBoundingClientRect().right
        ).map((figure) => figure.dataset.panel)"""
    )
    assert wide == []


def test_launch_clicked_three_times_quickly_makes_one_run(studio, visit):
    page = visit.go("/new")
    button = page.locator(".st-key-launch button")
    button.wait_for()
    button.evaluate("(button) => { button.click(); button.click(); button.click(); }")
    page.get_by_text("Open the run").wait_for()
    with studio.database.read() as session:
        assert queries.run_count(session) == 1
    page.get_by_text("Open the run").click()
    page.get_by_role("heading", name="Demo: digits, noisy labels").wait_for()
    assert "id=" in page.url


def test_stop_in_a_moving_table_stops_the_run_that_was_named(studio, visit):
    studio.running("Oldest")
    wanted = studio.running("The one")
    page = visit.go("/")
    table = page.locator("[data-testid=stDataFrame]").first
    table.wait_for()
    table.click(position={"x": 15, "y": 52})  # first row: the newest run
    page.locator(".st-key-chosen").get_by_text("The one").wait_for()
    other = studio.running("Pushed in above")
    page.get_by_text("3 runs in training").wait_for()
    page.locator(".st-key-chosen").get_by_text("The one").wait_for()
    page.locator(".st-key-chosen-stop button").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("The one").wait_for()
    time.sleep(5)  # two refreshes of the table: the dialog has to stay
    dialog.get_by_role("button", name="Stop the run").click()
    dialog.wait_for(state="hidden")
    _wait_for(lambda: studio.status(wanted) == "stopping", 10)
    assert studio.status(other) == "running"


def test_a_link_opens_the_same_view_in_a_fresh_browser(studio, visit, chromium, server):
    run_id = studio.finished("Done")
    page = visit.go(f"/run?id={run_id}&tab=Samples")
    page.locator(".st-key-quantity").wait_for()
    page.locator(".st-key-quantity input").click()
    page.get_by_role("option", name="Bound", exact=True).click()
    page.wait_for_url("**quantity=Bound**")
    page.get_by_text("Bound: highest mean").wait_for()
    context = chromium.new_context()
    fresh = Visit(context.new_page(), server).go(page.url.removeprefix(server))
    fresh.get_by_text("Bound: highest mean").wait_for()
    context.close()


def test_a_theory_link_holds_the_claim_its_parameters_and_the_drawn_samples(
    visit, chromium, server
):
    page = visit.go("/theory")
    page.get_by_role("button", name="Label noise").click()
    page.get_by_text("Class + pays: 30.9 %").wait_for()
    page.locator(".st-key-draw button").click()
    page.get_by_text("10,000 of each class, seed 0").wait_for()
    page.wait_for_url("**noise_plus=0.3**seed=0**")
    context = chromium.new_context()
    fresh = Visit(context.new_page(), server).go(page.url.removeprefix(server))
    fresh.get_by_text("Class + pays: 30.9 %").wait_for()
    fresh.get_by_text("At its own parameters").wait_for()
    fresh.get_by_text("10,000 of each class, seed 0").wait_for()
    context.close()


def test_a_clicked_point_stands_in_the_link_and_leads_to_its_classes(
    studio, visit, chromium, server
):
    run_id = studio.finished("Done")
    page = visit.go("/tradeoff")
    plot = page.locator(".st-key-points .js-plotly-plot")
    plot.locator(".nsewdrag").wait_for()
    place = plot.evaluate(
        """(plot) => {
            const trace = plot._fullData.find((trace) => trace.name === "caat");
            const {xaxis, yaxis} = plot._fullLayout;
            return [xaxis._offset + xaxis.l2p(trace.x[0]), yaxis._offset + yaxis.l2p(trace.y[0])];
        }"""
    )
    box = plot.bounding_box()
    page.mouse.move(box["x"] + place[0], box["y"] + place[1])
    plot.locator(".hoverlayer .hovertext").wait_for()
    page.mouse.click(box["x"] + place[0], box["y"] + place[1])
    page.get_by_text("One seed: no interval").wait_for()
    page.wait_for_url("**/tradeoff?point=*")
    context = chromium.new_context()
    fresh = Visit(context.new_page(), server).go(page.url.removeprefix(server))
    fresh.get_by_text("One seed: no interval").wait_for()
    context.close()
    page.get_by_text("Which classes pay?").click()
    page.get_by_role("heading", name="Class fairness").wait_for()
    page.wait_for_url(f"**/fairness?runs={run_id}")


def test_a_box_over_the_weights_lists_its_samples_and_stands_in_the_link(studio, visit):
    rng = np.random.default_rng(0)
    names = ("clean_weight", "adversary_weight", "anti_adversary_weight", "bound", "loss")
    drawn = {name: rng.random(200).astype(np.float32) for name in names}
    run_id = studio.learned(lambda epoch: drawn, 1)
    page = visit.go(f"/samples?run={run_id}")
    plot = page.locator(".st-key-density .js-plotly-plot .nsewdrag")
    plot.wait_for()
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(*middle, steps=5)
    page.mouse.up()
    page.wait_for_url("**trait-range=*weight-range=*")
    line = page.get_by_text("of 200 training samples in epoch 1 meet the choice")
    line.wait_for()
    limits = page.evaluate("() => Object.fromEntries(new URLSearchParams(location.search))")
    (x0, x1), (y0, y1) = (
        map(float, limits[name].split("..")) for name in ("trait-range", "weight-range")
    )
    loss, weight = drawn["loss"], drawn["anti_adversary_weight"]
    num = ((loss >= x0) & (loss <= x1) & (weight >= y0) & (weight <= y1)).sum()
    assert 0 < num < 200
    assert line.inner_text().startswith(f"{num} of 200")
    page.locator("[class*=st-key-history-] button").first.click()
    page.locator(".st-key-picked").wait_for()
    page.wait_for_url("**sample=*")
    with page.expect_download() as file:
        page.locator(".st-key-samples-csv button").click()
    assert len(file.value.path().read_text().splitlines()) == num + 1


def test_newer_weights_are_offered_and_drawn_on_a_click(studio, visit):
    run_id = studio.running("Live", 2)
    page = visit.go(f"/samples?run={run_id}")
    page.get_by_text("training samples in epoch 2, one run").wait_for()
    studio.record_epoch(run_id, 3)
    page.locator(".st-key-newest button").click()
    page.get_by_text("training samples in epoch 3, one run").wait_for()
    page.locator(".st-key-newest").wait_for(state="detached")
    assert "epoch=" not in page.url


def test_a_page_redraws_itself_once_when_its_run_ends(studio, visit):
    run_id = studio.running("Ends")
    page = visit.go(f"/run?id={run_id}")
    page.locator(".st-key-header-stop").wait_for()
    with studio.database.write() as session:
        transitions.finish(session, run_id, 1, RunStatus.SUCCEEDED)
    page.locator(".st-key-run-title").get_by_text("Finished").wait_for()
    page.locator(".st-key-header-stop").wait_for(state="detached")
    settled = visit.received
    time.sleep(5)
    assert visit.received - settled < 20_000  # nothing is drawn again and again


def test_every_page_sends_less_than_two_megabytes(studio, visit):
    run_id = studio.finished("Done", epochs=20)
    tabs = [
        f"/run?id={run_id}&tab={tab}" for tab in ("Live", "Classes", "Samples", "Attack", "Setup")
    ]
    compared = ("/fairness", "/tradeoff?paths=true", f"/samples?run={run_id}")
    for path in ("/", "/new", "/theory?claim=mixing&seed=0", *compared, *tabs):
        visit.received = 0
        page = visit.go(path)
        page.get_by_role("heading").first.wait_for()
        time.sleep(1)
        assert 0 < visit.received < 2_000_000, path
