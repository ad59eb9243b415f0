"""A trainer that only notes that it was started, for programmes about who starts what how often.

It is put in by Python's own hook for a site: everything else, from the broker's message to the
child process of a supervisor, is what it always is. To its worker it is a trainer that dies; where
`max_lost_attempts` is 1 the run then fails and is not queued again.
"""

import os
from collections import defaultdict

from tests.real.studio import Studio

SETTINGS = {"max_lost_attempts": 1, "retry_after_seconds": 0}
_HOOK = """
import os, sys, time
words = getattr(sys, "orig_argv", [])
if "tasks.trainer" in words:
    run_id = words[words.index("tasks.trainer") + 1]
    folder = os.environ["CAAT_DATA_DIR"]
    with open(os.path.join(folder, "started"), "a") as file:
        file.write(f"{run_id} {time.time()}\\n")
    while os.path.exists(os.path.join(folder, f"held-{run_id}")):
        time.sleep(0.05)
    os._exit(0)
"""


def put_in(studio: Studio) -> None:
    """Let every trainer that a later worker starts be the stand-in."""
    folder = studio.folder / "stand-in"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_HOOK)
    path = [str(folder), studio.environment.get("PYTHONPATH", "")]
    studio.environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))


def hold(studio: Studio, run_id: str) -> None:
    """Let one run's stand-in stay until it is let go."""
    (studio.folder / f"held-{run_id}").touch()


def let_go(studio: Studio, run_id: str) -> None:
    (studio.folder / f"held-{run_id}").unlink()


def started(studio: Studio) -> dict[str, list[float]]:
    """Return when the stand-in was started for each run, in seconds since 1970."""
    file = studio.folder / "started"
    times = defaultdict(list)
    for line in file.read_text().splitlines() if file.exists() else []:
        run_id, _, at = line.partition(" ")
        times[run_id].append(float(at))
    return dict(times)
