"""How long it takes to add data of one's own, and how much memory.

python benchmarks/data.py [--write]   Two data sets are made, added by the command, and one trained
on: 50,000 images of 32 x 32 from an npz, 20,000 JPEGs in folders. ``--write`` puts the figures into
docs/performance.md.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- own data -->", "<!-- end of own data -->"
AIMS = {"npz": (10, 600), "JPEGs": (60, None)}


def anonymous(pid: int) -> int:
    """Return the anonymous memory of a process and its children, in bytes."""
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            status = Path(f"/proc/{one}/status").read_text()
            children = Path(f"/proc/{one}/task/{one}/children").read_text().split()
        except OSError:
            continue
        waiting += map(int, children)
        told = (line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))
        total += 1024 * int(next(told, "0"))
    return total


def measured(words: list[str], folder: Path) -> tuple[float, float]:
    """Run a command; return its seconds, and its largest anonymous memory in MB."""
    environment = os.environ | {"CAAT_DATA_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    start, most = time.perf_counter(), [0]
    command = [sys.executable, "-m", "app.cli.main", *words]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    def watch() -> None:
        while process.poll() is None:
            most[0] = max(most[0], anonymous(process.pid))
            time.sleep(0.05)

    thread = threading.Thread(target=watch)
    thread.start()
    code = process.wait()
    thread.join()
    assert code == 0, (words, code)
    return time.perf_counter() - start, most[0] / 1e6


def make_npz(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (50_000, 32, 32, 3), dtype=np.uint8)
    np.savez(folder / "many.npz", x=x, y=np.arange(50_000) % 10)
    return folder / "many.npz"


def make_photos(folder: Path, number: int) -> Path:
    """Make JPEGs of 96 to 160 pixels that are smooth, as photos are."""
    rng = np.random.default_rng(0)
    for row in range(number):
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        side = 96 + row % 65
        place = folder / "photos" / f"class-{row % 20}"
        place.mkdir(parents=True, exist_ok=True)
        small.resize((side, side), Image.Resampling.BICUBIC).save(place / f"{row}.jpg", quality=90)
    return folder / "photos"


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory(prefix="caat-") as name:
        folder = Path(name)
        sources = {"npz": make_npz(folder), "JPEGs": make_photos(folder, 20_000)}
        for what, source in sources.items():
            words = ["data", "add", str(source), "--name", what.lower(), "--json"]
            seconds, memory = measured(words, folder / "data")
            rows.append((what, seconds, memory))
            print(json.dumps({"what": what, "seconds": seconds, "anonymous_mb": memory}))
    cores = len(os.sched_getaffinity(0))
    table = "".join(
        f"| {what} | {seconds:.1f} s (aim {AIMS[what][0]} s) | {memory:,.0f} MB |\n"
        for what, seconds, memory in rows
    )
    text = (
        f"{BEGIN}\n\n## Data of one's own\n\n    python benchmarks/data.py --write\n\n"
        "`caat data add` of 50,000 images of 32 x 32 x 3 from an npz, and of 20,000 JPEGs of 96 to "
        f"160 pixels in folders, on {cores} cores; memory is the anonymous memory of the command "
        f"and its children.\n\n| | time | memory |\n| --- | --- | --- |\n{table}\n{END}"
    )
    if "--write" in sys.argv:
        page = PAGE.read_text()
        before, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{before.rstrip()}\n\n{text}{rest.partition(END)[2] or chr(10)}")
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, "MB at most in one child")


if __name__ == "__main__":
    main()
