"""Numbers of papers: as they were printed, and apart from ours."""

import pytest

from app.compare.published import RESULTS, published
from engine.evaluation.statistics import rho
from engine.methods.base import METHODS

# The rho that DAFA's own table prints beside each pair of accuracies, clean and robust.
RHO = {
    "FRL": (0.11, 0.11),
    "CFA": (-0.04, 0.32),
    "BAT": (0.19, -0.24),
    "WAT": (0.06, 0.27),
    "DAFA": (0.03, 0.42),
}


def test_the_accuracies_of_dafas_table_give_the_rho_that_it_prints():
    table = {row.title: row for row in RESULTS if "Lee et al." in row.source[1]}
    base = table.pop("TRADES")
    assert table.keys() == RHO.keys()
    for title, printed in RHO.items():
        row = table[title]
        for mine, its, expected in zip(
            (row.natural, row.robust), (base.natural, base.robust), printed, strict=True
        ):
            found = rho(*mine, base_average=its[0], base_worst=its[1])
            assert round(found, 2) == expected


def test_every_published_row_has_a_worst_class_no_better_than_its_average():
    for row in RESULTS:
        assert row.robust[1] < row.robust[0] < row.natural[0] < 100
        assert row.natural[1] < row.natural[0]


def test_published_rows_name_methods_that_there_are():
    assert {row.method for row in RESULTS} - {""} <= set(METHODS.names())


def test_errors_are_what_accuracies_leave_and_the_studys_methods_come_first():
    table = published({"dafa"})
    assert len(table) == len(RESULTS)
    first = table.iloc[0]
    assert first["title"] == "DAFA"
    assert first["natural_error"] == pytest.approx(0.1837)
    assert first["worst_robust_error"] == pytest.approx(0.6947)


def test_a_study_shows_them_with_their_protocols_and_says_what_differs(studio, open_page):
    studio.finished("One", study="Study", method={"name": "trades"})
    page = open_page("studies", study="Study")
    (shown,) = [table.value for table in page.dataframe if "source" in table.value]
    assert shown["title"].tolist()[0].startswith("TRADES")
    assert shown["source"].notna().all()
    assert any("never in one ranking" in caption.value for caption in page.caption)
