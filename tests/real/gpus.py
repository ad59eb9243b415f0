"""CUDA devices that are not there: no test computes on a GPU.

Asked for devices, every process of an installation hears of these instead of asking torch
(`engine.runtime.whom_to_ask`). A worker on one of them is a real one that finds no work it can do:
it waits, reports and ends, but a run that it took would fail.
"""

import os
import sys
from pathlib import Path

from tests.real.studio import Studio

_ANSWER = """
import sys
number, name = {number}, sys.argv[1]
here = [f"cuda:{{index}}" for index in range(number)]
if name == "all":
    print(*here, sep="\\n", end="\\n" if here else "")
elif name in here:
    print(name, "no GPU, a test's", "", 80 * 2**30, sep="\\n")
else:
    sys.exit(sys.stderr.write(f"device: {{name}} is not here\\n") and 2)
"""
_HOOK = """
import sys
import engine.runtime
engine.runtime.whom_to_ask = lambda: (sys.executable, {answer!r})
"""


def whom_to_ask(folder: Path, number: int) -> tuple[str, ...]:
    """Return the command that knows so many devices."""
    script = folder / "gpus.py"
    script.write_text(_ANSWER.format(number=number))
    return sys.executable, str(script)


def put_in(studio: Studio, number: int) -> None:
    """Let every later process of an installation see so many devices."""
    folder = studio.folder / "gpus"
    folder.mkdir()
    _, answer = whom_to_ask(folder, number)
    (folder / "sitecustomize.py").write_text(_HOOK.format(answer=answer))
    path = [str(folder), studio.environment.get("PYTHONPATH", "")]
    studio.environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
