"""Numbers of papers: as they were printed, and apart from ours."""

import re

import pytest

from app.compare.published import PUBLISHED, RESULTS, published
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


PRINTED = {
    "Zhou, Yang and Wu": """
        PGD-AT                 84.5   66.2   43.6   17.3
        TRADES 1               85.4   68.8   42.3   15.3
        TRADES 6               80.4   60.9   50.7   22.4
        Baseline ReWeight      80.8   71.7   41.8   19.9
        FRL ReWeight           84.0   77.5   42.4   26.7
        FRL ReMargin           83.1   75.1   48.1   24.5
        FRL ReWeight+ReMargin  83.0   73.2   47.3   30.5
        CAAT Grad-Based        85.4   76.4   71.4   51.9
        CAAT ReMargin          86.1   75.7   70.7   55.6""",
    "Wei et al.": """
        AT                     82.3   63.9   46.7   20.1
        AT+EMA                 81.9   61.6   49.6   21.3
        AT+CFA                 80.8   64.6   50.1   24.4
        TRADES 6               82.3   67.8   48.3   21.7
        TRADES+EMA             81.2   65.0   49.7   24.2
        TRADES+CFA             80.4   66.2   50.1   26.5
        FAT                    84.6   69.2   45.7   17.2
        FAT+CFA                82.1   64.7   49.6   20.9
        FRL                    82.8   71.4   45.9   25.4
        FRL+EMA                83.6   69.5   46.1   25.6""",
    "Lee et al.": """
        TRADES                 82.04  65.70  49.80  21.31
        FRL                    82.97  71.94  44.68  25.84
        CFA                    79.81  65.18  50.78  27.62
        BAT                    87.16  74.02  45.89  17.82
        WAT                    80.97  70.57  46.30  28.55
        DAFA                   81.63  67.90  49.05  30.53""",
    "Zhang et al.": """
        FAAL-AT from TRADES      83.67  71.8   45.10  28.8
        FAAL-AT-AWP from PGD     82.08  66.9   46.68  30.1
        FAAL-AT-AWP from TRADES  83.26  69.4   47.62  30.7""",
}
"""Authors -> accuracies in percent: average and worst class, then the same under attack.

Typed a second time, so that a slip of the fingers in either copy is found.
"""


@pytest.mark.parametrize("authors", PRINTED)
def test_two_copies_of_a_papers_table_agree_in_every_number(authors):
    rows = [re.split(r"\s{2,}", line.strip()) for line in PRINTED[authors].strip().splitlines()]
    expected = {title: [100 - float(number) for number in numbers] for title, *numbers in rows}
    table = published(())
    mine = table[table["source"].str.startswith(authors)].set_index("title")
    assert mine.index.tolist() == list(expected)
    for title, errors in expected.items():
        found = [100 * error for error in mine.loc[title, list(PUBLISHED)]]
        assert found == pytest.approx(errors)


def test_no_published_row_is_of_another_paper():
    assert len(published(())) == sum(len(table.split("\n")) - 1 for table in PRINTED.values())


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
