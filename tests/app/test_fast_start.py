"""What a command loads before it answers: nothing of what only computing, tables or files need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "torchvision", "pandas", "pyarrow", "streamlit", "plotly")

COMMANDS = """
import contextlib, io, sys
from app.cli.main import main

def run(*words):
    sys.argv = ["caat", *words]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        main()
    return said.getvalue().strip()

run("--help")
early = {"sqlalchemy", "numpy"} & set(sys.modules)
assert not early, early
run("db", "check")
run("status")
run_id = run("launch", "scenario.toml").splitlines()[0]
for words in (["status", run_id, "--json"], ["stop", run_id], ["resume", run_id], ["methods"]):
    assert run(*words), words
run("messages")
run("doctor")
"""
WORKER = """
import tasks.serve, app.cli.run, app.cli.up
from tasks.processes.host import identity
identity()
"""
BEFORE_THE_DASHBOARD = """
import app.cli.main, tasks.processes.secrecy, app.cli.up
from app.server.dashboard import dashboard_address, public_path, where_to_open
where_to_open(dashboard_address(8501)), public_path()
"""
SCENARIO = """
from engine.new_scenario import new_scenario
from engine.methods.base import METHODS
for name in METHODS.names():
    new_scenario({"method": {"name": name}}).digest()
"""


@pytest.mark.parametrize("code", [COMMANDS, WORKER, SCENARIO], ids=["cli", "worker", "scenario"])
def test_what_computes_is_loaded_by_nobody_else(code: str, data_dir: Path) -> None:
    assert loaded(code, data_dir).isdisjoint(HEAVY)


def test_the_dashboard_of_caat_up_is_forked_before_sqlalchemy_is_loaded(data_dir: Path) -> None:
    assert loaded(BEFORE_THE_DASHBOARD, data_dir).isdisjoint({*HEAVY, "sqlalchemy", "psycopg"})


def loaded(code: str, data_dir: Path) -> set[str]:
    """Return the modules that a process has loaded that ran the code."""
    (data_dir / "scenario.toml").write_text('[data]\ndataset = "digits"\n')
    found = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sorted(sys.modules))"],
        env=os.environ | {"CAAT_DATA_DIR": str(data_dir), "CAAT_DEVICE": "cpu"},
        cwd=data_dir,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return set(found.stdout.split())
