"""Take the pictures of the documentation: every page and tab, empty, in work and done.

    python docs/take_screenshots.py [--only NAME ...]

Starts two installations of its own with `caat up`: one that stays empty, and one that trains a
study of short runs of the demonstration; once they are done a longer study is launched, to be seen
at work. The pictures go to docs/screenshots as PAGE-STATE-SCHEME.png, light and dark at 1280 x 900,
and for the two pages that are looked at on the way, at 390 x 844. Needs Debian's Chromium.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from app.forms.presets import PRESETS
from app.navigation import PAGES
from app.run_tabs.tabs import TABS
from app.studies.preset_files import RESULTS
from db import studies
from db.reads import queries
from db.reads.rows import RunDetail
from db.session import Database
from db.settings import sqlite_url
from engine.scenario import Scenario
from tasks.queue.submit import new_run

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "screenshots"
ARGUMENTS = [
    *("--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--hide-scrollbars"),
]
SCHEMES = ("light", "dark")
DESKTOP, PHONE = (1280, 900), (390, 844)
ON_A_PHONE = ("runs", "run-live")
PATIENCE = 240.0
METHODS = (("caat", 0), ("trades", 0), ("pgd-at", 0), ("caat", 1), ("trades", 1), ("pgd-at", 1))
SHORT, LONG = "Three methods", "A longer study"
MIXING = "claim=mixing&rho_plus=0.1&rho_minus=-0.1&seed=0"


@contextmanager
def installation(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Start everything on an empty data directory; give the address and the environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {name: value for name, value in os.environ.items() if name[:5] != "CAAT_"}
    environment |= {"CAAT_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "app.cli.main", "up", "--no-demo", "--port", port]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{address}/_stcore/health"))
        yield address, environment
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


SHIPPED = "/studies?study=The+paper%27s+table:+Fashion-MNIST&scenario=20+%25+pair+noise"
"""The study that comes with the program."""


def wait_until(is_there: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_there():
        if time.monotonic() > deadline:
            raise TimeoutError("a run or a server was not ready in time")
        time.sleep(0.5)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def caat(environment: dict[str, str], *arguments: str) -> str:
    """Run one of our commands and return what it says."""
    command = [sys.executable, "-m", "app.cli.main", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def launch(
    database: Database, name: str, members: Sequence[tuple[str, int]], epochs: int
) -> list[str]:
    """Queue a study of the demonstration's scenario and return the ids of its runs."""
    runs = [
        new_run(_scenario(method, seed, epochs), idempotency_key=f"{name}, {method}, {seed}")
        for method, seed in members
    ]
    with database.write() as session:
        return list(studies.create_study(session, name, runs, actor="pictures").run_ids)


def _scenario(method: str, seed: int, epochs: int) -> Scenario:
    changes = {"name": f"Digits, {method}, {epochs} epochs", "seed": seed}
    training = {**PRESETS["demo"].changes["training"], "epochs": epochs}
    changes |= {"method": {"name": method}, "training": training}
    return Scenario.model_validate({**PRESETS["demo"].changes, **changes})


def links(run_id: str | None, run_ids: list[str], study: str = "") -> dict[str, str]:
    """Return the link of every page and tab by the name of its picture."""
    found = {_slug(page.title): page.path for page in PAGES if page.path != "/run"}
    found["theory"] = f"/theory?{MIXING}"
    if run_ids:
        every = "&".join(f"runs={one}" for one in run_ids)
        found["class-fairness"] += f"?{every}"
        found["studies"] += f"?study={study}"
    if run_id:
        found["sample-weights"] += f"?run={run_id}"
        found |= {f"run-{_slug(tab)}": f"/run?id={run_id}&tab={tab}" for tab in TABS}
    return found


def _slug(title: str) -> str:
    return title.lower().replace(" ", "-")


def take(browser: Any, address: str, state: str, named: dict[str, str]) -> None:
    """Take every picture of one state."""
    for scheme in SCHEMES:
        for size, names in ((DESKTOP, list(named)), (PHONE, ON_A_PHONE)):
            shape = {"width": size[0], "height": size[1]}
            options = {"color_scheme": scheme, "reduced_motion": "reduce", "viewport": shape}
            context = browser.new_context(**options)
            page = context.new_page()
            for name in names:
                if name in named:
                    called = name if size == DESKTOP else f"{name}-phone"
                    file = FOLDER / f"{called}-{state}-{scheme}.png"
                    shoot(page, address + named[name], file)
            context.close()


def shoot(page: Any, url: str, file: Path) -> None:
    """Take one picture once its page stands still, with a palette of its own."""
    page.goto(url)
    page.get_by_role("heading").first.wait_for(timeout=60_000)
    page.wait_for_timeout(700)  # a live page never stands still for long
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.locator("[data-testid=stSkeleton]").first.wait_for(state="detached")
    page.wait_for_timeout(700)  # charts draw after their data is there
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)


def main(states: list[str]) -> None:
    """Take every picture, light and dark."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.png"):
        if states == STATES or old.stem.split("-")[-2] in states:
            old.unlink()
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(prefix="caat-") as name:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        folders = [Path(name) / "empty", Path(name) / "used"]
        for folder in folders:
            folder.mkdir()
        if {"running", "finished"} & set(states):
            with installation(folders[1]) as (address, environment):
                used(browser, address, environment, states)
        if {"empty", "results"} & set(states):
            with installation(folders[0]) as (address, environment):
                if "empty" in states:
                    take(browser, address, "empty", links(None, []))
                if "results" in states:
                    caat(environment, "study", "import", str(RESULTS))
                    take(browser, address, "results", {"study": SHIPPED})
        browser.close()


def used(browser: Any, address: str, environment: dict[str, str], states: list[str]) -> None:
    """Train, take the pictures of what is done, and then of a run that is at work."""
    database = Database(sqlite_url(Path(environment["CAAT_DATA_DIR"]) / "caat.db"))
    run_ids = launch(database, SHORT, METHODS, 15)
    wait_until(lambda: all(_run(database, one).status == "succeeded" for one in run_ids))
    if "finished" in states:
        caat(environment, "evaluate", run_ids[0], "--curve", "--masking")
        take(browser, address, "finished", links(run_ids[0], run_ids[:3], SHORT))
    if "running" in states:
        run_id, waiting = launch(database, LONG, (("caat", 2), ("trades", 2)), 1_000)
        wait_until(lambda: _run(database, run_id).epoch >= 8)
        take(browser, address, "running", links(run_id, run_ids[:3], LONG))
        for one in (waiting, run_id):
            caat(environment, "stop", one)
    database.dispose()


def _run(database: Database, run_id: str) -> RunDetail:
    with database.read() as session:
        run = queries.get_run(session, run_id)
    assert run is not None
    return run


STATES = ["empty", "running", "finished", "results"]

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=STATES, default=STATES)
    main(parser.parse_args().only)
