"""``caat table --against``: differences to one row of a study, against scipy and statsmodels."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from typer.testing import CliRunner

from app.cli.main import cli
from app.compare.study import study_tables
from app.compare.study_text import as_csv, as_json, as_latex, as_markdown
from tests.app.test_study_table import of_three_seeds, results, some_run

ROWS = {"a": (0.40, 0.42, 0.44), "b": (0.41, 0.45, 0.44), "c": (0.60, 0.61, 0.63)}


def expected(title: str, against: str) -> tuple[float, float, float, float]:
    """Return difference, interval and uncorrected p-value."""
    found = stats.ttest_rel(ROWS[title], ROWS[against])
    interval = found.confidence_interval()
    return np.mean(ROWS[title]) - np.mean(ROWS[against]), interval.low, interval.high, found.pvalue


def test_differences_to_a_row_are_those_of_paired_t_tests_with_holms_correction():
    read = pd.read_csv(io.StringIO(as_csv([of_three_seeds(**ROWS)], "b"))).set_index("title")
    names = ("a", "c")
    told = [expected(name, "b") for name in names]
    corrected = multipletests([one[3] for one in told], method="holm")[1]
    for name, (value, low, high, _), p_value in zip(names, told, corrected, strict=True):
        row = read.loc[name]
        assert row["robust_error_difference"] == pytest.approx(value)
        assert row["robust_error_difference_low"] == pytest.approx(low)
        assert row["robust_error_difference_high"] == pytest.approx(high)
        assert row["robust_error_p"] == pytest.approx(p_value)
    assert np.isnan(read.loc["b", "robust_error_difference"])


def test_without_a_row_the_differences_are_to_the_best():
    rows = json.loads(as_json([of_three_seeds(**ROWS)]))["tables"][0]["rows"]
    assert rows[1]["robust_error_difference"] == pytest.approx(expected("b", "a")[0])
    assert rows[0]["robust_error_difference"] is None


def test_markdown_and_latex_have_a_table_of_differences_in_points():
    table = of_three_seeds(**ROWS)
    value, low, high, _ = expected("c", "a")
    natural = f"{50 * value:+.2f} [{50 * low:+.2f}, {50 * high:+.2f}]"  # half of the robust ones
    text = as_markdown([table], "a")
    assert "Differences to a, in percentage points" in text
    assert f"| c | {natural}, p = " in text
    assert text.count("| a |") == 1  # not against itself
    latex = as_latex([table], "a")
    assert latex.count(r"\toprule") == 2
    assert natural in latex
    assert latex.isascii()


def test_without_a_reference_there_is_one_table_and_no_word_of_differences():
    table = of_three_seeds(**ROWS)
    assert "Differences" not in as_markdown([table])
    assert as_latex([table]).count(r"\toprule") == 1


def test_a_difference_of_one_common_seed_has_no_interval_and_no_test():
    runs = [some_run("a0", "a", 0), some_run("b0", "b", 0), some_run("b1", "b", 1)]
    (table,) = study_tables(runs, results(a0=0.3, b0=0.4, b1=0.9))
    assert "| b | +5.00 |" in as_markdown([table], "a")


def test_rows_that_share_no_seed_have_no_difference():
    runs = [some_run("a0", "a", 0), some_run("b1", "b", 1)]
    (table,) = study_tables(runs, results(a0=0.3, b1=0.4))
    (line,) = [
        line for line in as_markdown([table], "a").splitlines() if line.startswith("| b | ")
    ][1:]
    assert "+" not in line


def test_the_command_refuses_a_row_that_is_not_and_names_those_that_are(studio):
    for method in ("caat", "trades"):
        studio.finished("S", study="S", method={"name": method})
    refused = CliRunner().invoke(cli, ["table", "S", "--against", "wat"])
    assert str(refused.exception) == "--against: 'wat' is no row; choose caat, trades"
    told = CliRunner().invoke(cli, ["table", "S", "--against", "trades"])
    assert "Differences to trades" in told.stdout
