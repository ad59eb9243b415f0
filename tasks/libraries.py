"""May networks of another library be built? That a library is broken is no fault of the rest."""

import subprocess
import sys
from collections.abc import Iterator

from tasks.finding import Finding

_ASK = """
from engine.errors import UserError
from engine.models.backbones._foreign import library
try:
    library("torchvision", "torchvision.models")
except UserError as error:
    print(str(error).partition(": ")[2])
"""
LONGEST = 120
"""Seconds that loading it may take."""


def networks() -> Iterator[Finding]:
    """Say of torchvision whether it belongs to torch, from a process that loads both."""
    try:
        asked = [sys.executable, "-c", _ASK]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=LONGEST, check=True)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        yield Finding(
            "networks", True, "torchvision cannot be loaded; torchvision:NAME is not built"
        )
        return
    told = done.stdout.strip()
    if told:
        yield Finding("networks", True, f"{told}; until then torchvision:NAME cannot be built")
    else:
        yield Finding("networks", True, "torchvision:NAME can be built")
