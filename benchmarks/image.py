"""Execute the Dockerfile's build steps one by one without Docker, and estimate the image's size.

    python benchmarks/image.py [--torch-index URL] [--json]

RUN and COPY of the build stage are executed in a new folder, in a virtual environment of this
machine's Python, with the paths of the image (/opt/venv, /app) below that folder. Steps that
install Debian's packages or make users need root in a container, and are listed as left out. The
size is that of /opt/venv and /app; the base image comes on top.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
OF_ROOT = re.compile(r"apt-get|useradd|install -d -o")


def steps(text: str) -> list[tuple[str, str]]:
    """Return the instructions of the build stage: their names and what follows them."""
    build = text.split("FROM ")[1].replace("\\\n", " ")
    lines = [line for line in build.splitlines()[1:] if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def execute(folder: Path, torch_index: str) -> list[dict[str, object]]:
    """Execute the steps below a folder; stop at the first that fails."""
    environment = {**os.environ, "TORCH_INDEX": torch_index}
    environment.pop("PYTHONPATH", None)
    (folder / "app").mkdir()
    told: list[dict[str, object]] = []
    for word, rest in steps((ROOT / "Dockerfile").read_text(encoding="utf-8")):
        began = time.monotonic()
        line = rest.replace("/opt/venv", f"{folder}/venv")
        if word in ("ENV", "COPY"):
            set_or_copy(word, line, folder / "app", environment)
            how = "executed"
        elif word == "RUN":
            how = run(line, folder / "app", environment)
        else:
            continue
        seconds = round(time.monotonic() - began, 1)
        told.append({"step": f"{word} {rest}", "how": how, "seconds": seconds})
        if how == "FAILED":
            break
    return told


def run(line: str, work: Path, environment: dict[str, str]) -> str:
    """Execute a RUN; tell how it went."""
    if OF_ROOT.search(line):
        return "left out"
    line = line.replace("python -m venv", f"{sys.executable} -m venv")
    # What pip says goes to stderr: stdout is the result's.
    done = subprocess.run(
        ["sh", "-ec", line], cwd=work, env=environment, stdout=sys.stderr, check=False
    )
    return "FAILED" if done.returncode else "executed"


def set_or_copy(word: str, rest: str, work: Path, environment: dict[str, str]) -> None:
    """Execute an ENV or a COPY."""
    if word == "COPY":
        return copy(rest.split(), work)
    for name, value in (pair.split("=", 1) for pair in rest.split()):
        environment[name] = value.replace("$PATH", environment["PATH"])
    return None


def copy(words: list[str], work: Path) -> None:
    *sources, target = words
    for source in sources:
        if (ROOT / source).is_dir():
            leave = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, work / target, ignore=leave)
        else:
            shutil.copy(ROOT / source, work / target)


def size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())


def main() -> int:
    """Print what became of each step, and the size."""
    parser = argparse.ArgumentParser(description="Execute the Dockerfile's build steps")
    parser.add_argument("--torch-index", default="https://download.pytorch.org/whl/cpu")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="caat-image-") as name:
        folder = Path(name)
        told = execute(folder, given.torch_index)
        answers = subprocess.run(
            [folder / "venv/bin/caat", "--version"], cwd=folder / "app", check=False
        ).returncode
        result = {"steps": told, "caat": answers == 0, "bytes": size(folder)}
    if given.json:
        print(json.dumps(result))
    else:
        for step in told:
            print(f"{step['how']:9} {step['seconds']:>7} s  {step['step']}")
        print(f"caat --version: {'answers' if result['caat'] else 'FAILED'}")
        print(f"size of /opt/venv and /app: {result['bytes'] / 1e9:.2f} GB")
    return 0 if result["caat"] and all(step["how"] != "FAILED" for step in told) else 1


if __name__ == "__main__":
    sys.exit(main())
