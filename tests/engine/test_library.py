"""The engine's own names: `from engine import ...`, as docs/library.md shows it."""

import re
import subprocess
import sys
from pathlib import Path

import engine

GUIDE = Path(__file__).parents[2] / "docs" / "library.md"


def test_every_public_name_is_what_its_own_file_defines():
    assert set(engine.__all__) == set(engine._HOMES)
    for name in engine.__all__:
        value = getattr(engine, name)
        assert getattr(sys.modules[engine._HOMES[name]], name) is value
        assert name in dir(engine)


def test_the_guide_names_every_public_name():
    told = set(re.findall(r"`(\w+)`", GUIDE.read_text()))
    assert set(engine.__all__) <= told


def test_a_scenario_is_made_of_public_names_without_torch():
    script = (
        "import sys; from engine import Scenario, UserError, METHODS; Scenario();"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_guides_example_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(example, str(GUIDE), "exec"), names)
    assert names["seen"].test.count.sum() == 360
