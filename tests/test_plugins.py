"""One file adds a method, a dataset, a backbone, an attack or a chart: nothing else is touched.

The examples of docs/examples are put into a copy of the tree, where the contract tests bind them,
and a run uses four of them at once.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = {
    "mixed_at.py": ("engine/methods", "mixed-at"),
    "wine.py": ("engine/data/datasets", "wine"),
    "linear.py": ("engine/models/backbones", "linear"),
    "fgsm.py": ("engine/attacks", "fgsm"),
    "class_sizes.py": ("app/charts", "class_sizes"),
}
CONTRACTS = ("tests/engine", "tests/app/test_charts.py")
COPIED = (
    *("app", "tasks", "engine", "db", "caat_studio", "caat_studio_contracts"),
    *("tests", "pyproject.toml", ".streamlit"),
)
SCENARIO = """
[data]
dataset = "wine"
[method]
name = "mixed-at"
share = 0.25
[model]
backbone = "linear"
[training]
epochs = 2
batch_size = 32
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    skipped = shutil.ignore_patterns("__pycache__", "faults", "released")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=skipped)
        else:
            shutil.copy(source, folder / name)
    for file, (place, _) in EXAMPLES.items():
        shutil.copy(ROOT / "docs" / "examples" / file, folder / place / file)
    return folder


@pytest.fixture(scope="module")
def python(tree):
    """Run Python on the tree with the examples."""

    def start(*words):
        environment = os.environ | {"PYTHONPATH": str(tree), "CAAT_DATA_DIR": str(tree / "data")}
        environment.pop("PYTEST_ADDOPTS", None)
        return subprocess.run(
            [sys.executable, *words], cwd=tree, env=environment, capture_output=True, text=True
        )

    return start


def test_every_example_is_bound_by_the_contract_tests_and_keeps_them(tree, python):
    names = [name for _, name in EXAMPLES.values()]
    report = tree / "report.xml"
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}")
    done = python(*words, "-k", " or ".join(names), *CONTRACTS)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    cases = [case.get("name") for case in ElementTree.parse(report).iter("testcase")]
    for name in names:
        assert any(f"[{name}" in case or f"-{name}" in case for case in cases), name


def test_colours_keep_their_rules_with_a_method_that_chose_none(python):
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/app/test_palette.py")
    assert done.returncode == 0, done.stdout[-4000:]


def test_a_run_uses_a_method_a_dataset_a_backbone_and_an_attack_of_one_file_each(tree, python):
    (tree / "scenario.toml").write_text(SCENARIO)
    done = python("-m", "app.cli.main", "run", "scenario.toml", "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["status"] == "succeeded"
    assert [row["n"] for row in found["metrics"]["natural_error"]["per_class"]] == [15, 18, 12]
    words = ("evaluate", found["run_id"], "--attack", "fgsm", "--json")
    done = python("-m", "app.cli.main", *words)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["evaluation_card"]["attack"] == "fgsm"
