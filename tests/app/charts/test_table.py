"""The table of charts: it is whole, whoever asks first."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "app" / "charts"


def test_every_chart_is_in_the_table_also_where_one_was_imported_on_its_own():
    code = "import app.charts.ranking; from app.chart import charts; print(*sorted(charts()))"
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=FOLDER.parents[1],
    ).stdout.split()
    files = sorted(file.stem for file in FOLDER.glob("*.py") if file.stem != "__init__")
    assert said == files


def test_every_chart_has_a_test_of_what_it_draws():
    charts = {file.stem for file in FOLDER.glob("*.py") if file.stem != "__init__"}
    tests = {file.stem.removeprefix("test_") for file in Path(__file__).parent.glob("test_*.py")}
    assert charts <= tests
