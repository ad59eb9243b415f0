"""LaTeX itself sets the tables of a study, whatever its names hold."""

import os
import shutil
import subprocess

import pytest

from app.compare.study import study_tables
from app.compare.study_text import as_latex
from tests.app.payloads import NAMES
from tests.app.test_study_table import results, some_run

MISSING = "pdflatex is not installed (Debian's texlive-latex-recommended)"
DOCUMENT = (
    r"\documentclass{article}\usepackage{booktabs}"
    r"\begin{document}\input{table}\end{document}"
)
ASCII = [name for name in NAMES if name.isascii()]
"""pdfLaTeX has no fonts for other scripts; LuaLaTeX sets those."""


def test_latex_sets_a_table_and_its_differences_with_any_names(tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.fail(MISSING) if os.environ.get("CI") else pytest.skip(MISSING)
    runs = [some_run(f"r{place}", name, 0) for place, name in enumerate(ASCII)]
    tables = study_tables(runs, results(**{run.id: 0.3 + run.seed / 100 for run in runs}))
    (tmp_path / "table.tex").write_text(as_latex(tables, against=ASCII[0]))
    (tmp_path / "document.tex").write_text(DOCUMENT)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, [line for line in done.stdout.splitlines() if "!" in line[:1]]
    assert (tmp_path / "document.pdf").stat().st_size > 1000
