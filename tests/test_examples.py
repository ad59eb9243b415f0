"""The notebook and the page on plug-ins, run as a reader would run them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from engine.methods.base import METHODS

ROOT = Path(__file__).parents[1]
MOST_LINES = 25


@pytest.fixture(scope="module")
def cells():
    notebook = json.loads((ROOT / "examples" / "first_run.ipynb").read_text())
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_short(cells):
    lines = [line for cell in cells for line in cell.splitlines() if line.strip()]
    assert len(lines) <= MOST_LINES


def test_the_notebook_goes_from_data_to_a_chart_of_the_classes(cells, tmp_path, monkeypatch):
    monkeypatch.setenv("CAAT_DATA_DIR", str(tmp_path))
    names: dict[str, object] = {}
    for cell in cells:
        exec(compile(cell, "first_run.ipynb", "exec"), names)
    (bars,) = names["figure"].data
    assert np.allclose(bars.y, names["report"].robust_error.per_class)
    assert len(bars.y) == 10
    assert names["report"].card.label == "PGD-50"


def test_the_class_of_the_page_on_plugins_is_one_that_its_menu_takes(monkeypatch):
    page = (ROOT / "docs" / "plugins.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, object] = {"__name__": "half_at"}
    exec(compile(example, "plugins.md", "exec"), names)
    monkeypatch.setattr(METHODS, "_entries", METHODS.all().copy())
    assert METHODS._accept(names["HalfAtConfig"]) == "half-at"
    assert 'half-at = "half_at:HalfAtConfig"' in page
