"""Where the program does not run, it says so in one line."""

import subprocess
import sys

import pytest

from engine.errors import UserError
from engine.runtime import pick_device

AS_ON_WINDOWS = """
import os, sys
os.name = "nt"
for name in ("fcntl", "grp", "pwd", "resource"):
    sys.modules[name] = None
import app.cli.main
"""


def test_windows_is_refused_in_one_line_before_anything_is_loaded():
    done = subprocess.run(
        [sys.executable, "-c", AS_ON_WINDOWS], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("caat: Windows is not supported")
    assert "WSL" in done.stderr


@pytest.mark.parametrize("name", ["mps", "mps:0"])
def test_apples_gpu_is_refused_in_one_line(name):
    with pytest.raises(UserError, match="mps, Apple's GPU, is not supported; choose cpu"):
        pick_device(name)
