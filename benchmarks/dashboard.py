"""How long does a page take, and how much does it send, with many runs in the database?

    python benchmarks/dashboard.py [--runs 1000] [--rounds 20] [--keep FOLDER] [--write]

Builds a database of 1,000 runs of 100 epochs through the writers that a trainer uses, 21 of them
with five snapshots of 60,000 samples and one of those with 1,000 classes, and serves it as `caat
dashboard` does. A visit is a new browser session: it asks over the websocket for one page and ends
with the script. Measured are the real server's seconds, on the clock and of its CPU (on a busy
machine the latter tells the code's share), the bytes of its messages, and the seconds until
Chromium shows the first chart or table, in a new browser and in one that has seen the page.
Visits go round and round over the pages, each Run tab to another run every time, so that only what
a page may keep for long is found in a cache. ``--keep`` leaves the database in a folder, or takes
it from there; ``--write`` puts the table into docs/performance.md.
"""

import argparse
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# The folder of this file has a file that is called like a package.
sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).parent]

import numpy as np
import psutil
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from app.navigation import PAGES
from app.run_tabs.tabs import TABS
from benchmarks.dashboard_data import Built, build

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "docs" / "performance.md"
MARKS = ("<!-- dashboard -->", "<!-- end of dashboard -->")
COMPARED = 100
"""Runs of the smaller database that the list of runs is compared with."""
FIRST = ".js-plotly-plot .main-svg, [data-testid=stDataFrame] canvas"
CHROMIUM = ["--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader"]


@dataclass(frozen=True)
class Visit:
    """One page as one new session gets it."""

    seconds: float
    cpu_seconds: float
    size: int


@contextmanager
def served(data_dir: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Serve a data directory's database; give the address and the server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"CAAT_DATA_DIR": str(data_dir), "CAAT_DATABASE_URL": ""}
    environment = {**os.environ, **given, "CAAT_BROKER_URL": "redis://127.0.0.1:1/0"}
    command = [sys.executable, "-m", "app.cli.main", "dashboard", "--port", str(port)]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)
    try:
        _wait_for(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"127.0.0.1:{port}", psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(url: str) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"{url} did not answer")


def visited(address: str, server: psutil.Process, link: str) -> Visit:
    """Open a page as a browser does, and wait until its script has ended."""
    parts, size = urlsplit(link), 0
    request = BackMsg()
    request.rerun_script.query_string = parts.query
    request.rerun_script.page_name = parts.path.strip("/")
    url, cpu = f"ws://{address}/_stcore/stream", _cpu_seconds(server)
    with connect(url, subprotocols=["streamlit"], max_size=None, origin=None) as stream:  # type: ignore[list-item]
        began = time.perf_counter()
        stream.send(request.SerializeToString())
        for frame in stream:
            size += len(frame)
            message = ForwardMsg.FromString(frame)  # type: ignore[arg-type]
            if message.delta.new_element.WhichOneof("type") == "exception":
                raise RuntimeError(f"{link}: {message.delta.new_element.exception.message}")
            if message.WhichOneof("type") == "script_finished":
                break
        seconds = time.perf_counter() - began
    return Visit(seconds, _cpu_seconds(server) - cpu, size)


def _cpu_seconds(server: psutil.Process) -> float:
    times = server.cpu_times()
    return float(times.user + times.system)


def links_of(built: Built) -> dict[str, list[str]]:
    """Return the links of every page and tab by title; of several, each visit takes the next."""
    newest = built.ordinary[-1]
    links = {page.title: [page.path] for page in PAGES if page.path != "/run"}
    many = "&".join(f"runs={run_id}" for run_id in built.large[:4])
    links["Class fairness, four runs"] = [f"/fairness?{many}"]
    links["Trade-off with paths"] = ["/tradeoff?paths=true"]
    for tab in TABS:
        links[f"Run: {tab}"] = [f"/run?id={run_id}&tab={tab}" for run_id in built.large]
        links[f"Run of 1,000 classes: {tab}"] = [f"/run?id={built.many_classes}&tab={tab}"]
    if any(page.path == "/samples" for page in PAGES):
        links["Sample weights"] = [f"/samples?run={run_id}" for run_id in built.large]
    links["Run that is cloned"] = [f"/new?like={newest}"]
    return links


def measure(address: str, server: psutil.Process, links: dict[str, list[str]], rounds: int) -> Any:
    """Return every page's visits; the first round warms the server up and does not count."""
    found: dict[str, list[Visit]] = defaultdict(list)
    for round_ in range(rounds + 1):
        for title, several in links.items():
            visit = visited(address, server, several[round_ % len(several)])
            if round_:
                found[title].append(visit)
    return found


def first_charts(address: str, links: dict[str, list[str]]) -> dict[str, tuple[float, float]]:
    """Return the seconds until Chromium shows a chart or a table: new browser, and once more."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        found = {}
        for title, several in links.items():
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            times = [_seconds_to_chart(context, f"http://{address}{several[0]}") for _ in range(2)]
            found[title] = (times[0], times[1])
            context.close()
        browser.close()
        return found


def _seconds_to_chart(context: Any, url: str) -> float:
    page, began = context.new_page(), time.perf_counter()
    page.goto(url, wait_until="commit")
    try:
        page.locator(FIRST).first.wait_for(timeout=60_000)
    except PlaywrightTimeout:
        return float("nan")
    finally:
        page.close()
    return time.perf_counter() - began


def _table(found: Any, charts: dict[str, tuple[float, float]]) -> list[str]:
    head = "| page | p50 / p95, ms | of CPU, ms | KB sent | first chart, s: new browser / again |"
    lines = [head, "| --- | --- | --- | --- | --- |"]
    for title, visits in found.items():
        clock = _percentiles([visit.seconds for visit in visits])
        cpu = _percentiles([visit.cpu_seconds for visit in visits])
        size = max(visit.size for visit in visits) / 1000
        drawn = " / ".join(f"{seconds:.1f}" for seconds in charts[title])
        lines.append(f"| {title} | {clock} | {cpu} | {size:.0f} | {drawn} |")
    return lines


def _percentiles(seconds: list[float]) -> str:
    return " / ".join(f"{1000 * np.percentile(seconds, share):.0f}" for share in (50, 95))


def _runs_page(data_dir: Path, rounds: int) -> list[Visit]:
    """Return visits of the list of runs alone, far enough apart that nothing is kept."""
    visits = []
    with served(data_dir) as (address, server):
        for _ in range(rounds + 1):
            visits.append(visited(address, server, "/"))
            time.sleep(1.1)  # longer than the page keeps the rows
    return visits[1:]


def _write_report(lines: list[str]) -> None:
    text = REPORT.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    body = "\n".join((MARKS[0], "", *lines, "", MARKS[1]))
    REPORT.write_text(f"{before}{body}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="caat-") as temporary:
        folder = options.keep or Path(temporary)
        large, small = (folder / str(number) for number in (options.runs, COMPARED))
        began = time.perf_counter()
        built = build(large / "caat.db", options.runs)
        build(small / "caat.db", COMPARED)
        print(f"both databases: {time.perf_counter() - began:.0f} s", file=sys.stderr)
        with served(large) as (address, server):
            links = links_of(built)
            found = measure(address, server, links, options.rounds)
            load = os.getloadavg()[0]  # before Chromium makes its own
            charts = first_charts(address, links)
        few, many = (_runs_page(data_dir, options.rounds) for data_dir in (small, large))
    ratios = [
        np.median([getattr(visit, name) for visit in many])
        / np.median([getattr(visit, name) for visit in few])
        for name in ("seconds", "cpu_seconds")
    ]
    lines = [
        f"    python benchmarks/dashboard.py --runs {options.runs} --rounds {options.rounds}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} {platform.machine()} cores, "
        f"{options.runs:,} runs, load {load:.1f} (above 1.5, other work ran beside it, and the "
        "clock tells little):",
        "",
        *_table(found, charts),
        "",
        f"The list of runs takes {ratios[0]:.2f} times as long with {options.runs:,} runs as with "
        f"{COMPARED} ({ratios[1]:.2f} times the CPU).",
    ]
    print("\n".join(lines))
    if options.write:
        _write_report(lines)


if __name__ == "__main__":
    main()
