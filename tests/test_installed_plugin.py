"""A plug-in from its own wheel, beside ours, with nothing of this tree: examples/plugin."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "plugin"
NEEDED = (
    "app/.streamlit/config.toml",
    "app/style.css",
    "app/report/document.html",
    "app/studies/presets/paper-fashion.toml",
    "app/studies/results/fashion-mnist.caat",
    "db/migrations/versions/r0001_tables.py",
    "engine/found.json",
    "caat_studio_contracts/conftest.py",
)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    words = ("wheel", "--quiet", "--no-index", "--no-build-isolation", "--no-deps", "-w", folder)
    subprocess.run([sys.executable, "-m", "pip", *words, ROOT, EXAMPLE], check=True)
    return folder


@pytest.fixture(scope="module")
def python(wheels, tmp_path_factory):
    """Run Python where both wheels are installed, in an empty folder."""
    site, home = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("home")
    words = ("install", "--quiet", "--no-index", "--no-deps", "--target", site)
    files = sorted(wheels.glob("*.whl"))
    subprocess.run([sys.executable, "-m", "pip", *words, *files], check=True)
    environment = os.environ | {"PYTHONPATH": str(site), "CAAT_DATA_DIR": str(home / "data")}
    environment |= {"CAAT_DEVICE": "cpu"}
    environment.pop("PYTEST_ADDOPTS", None)

    def start(*words):
        return subprocess.run(
            [sys.executable, *words], cwd=home, env=environment, capture_output=True, text=True
        )

    return start


def test_our_wheel_holds_all_that_the_program_reads(wheels):
    (ours,) = wheels.glob("caat_studio-*.whl")
    with zipfile.ZipFile(ours) as archive:
        assert set(NEEDED) <= set(archive.namelist())


def test_an_installed_plugin_trains_is_evaluated_and_says_which_it_is(python):
    scenario = EXAMPLE / "scenario.toml"
    done = python("-m", "caat_studio", "run", str(scenario), "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["status"] == "succeeded"
    assert [row["n"] for row in found["metrics"]["natural_error"]["per_class"]] == [40, 74]
    words = ("evaluate", found["run_id"], "--attack", "random-search", "--json")
    done = python("-m", "caat_studio", *words)
    assert done.returncode == 0, done.stderr[-2000:]
    version = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]["version"]
    assert json.loads(done.stdout)["evaluation_card"]["versions"]["caat-example"] == version


def test_the_contracts_bind_an_installed_plugin_and_it_keeps_them(python):
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "caat_studio_contracts")
    done = python(*words, "-m", "", "-k", "not any_classes or 7")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert "skipped" not in done.stdout


def test_the_doctor_names_each_plugin(python):
    done = python("-m", "caat_studio", "doctor", "--json")
    parts = {found["part"]: found["ok"] for found in json.loads(done.stdout)["findings"]}
    for name in ("method curriculum-at", "dataset tumours", "backbone pooled-linear"):
        assert parts[f"plug-in {name}"]
    assert parts["plug-in attack random-search"]
