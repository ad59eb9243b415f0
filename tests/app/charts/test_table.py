"""The table of charts: it is whole, whoever asks first."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "app" / "charts"
FILES = {file.stem for file in FOLDER.glob("*.py")} - {"__init__", "base"}


def test_every_chart_is_in_the_table_also_where_one_was_imported_on_its_own():
    code = "import app.charts.ranking; from app.charts.base import charts; print(*sorted(charts()))"
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=FOLDER.parents[1],
    ).stdout.split()
    assert said == sorted(FILES)
