"""A study of several scenarios: a table for each, more columns, ranks over all, on the page."""

import io
import json
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from app.compare.measures import MEASURES, of_classes
from app.compare.study import read_tables, study_tables
from app.compare.study_ranks import study_ranks
from app.compare.study_text import as_csv, as_html, as_json, as_latex, as_markdown
from engine.evaluation.ranks import ranks
from tests.app.shown import words
from tests.app.test_study_table import of_three_seeds, results, some_run


def of_file(scenario: str, method: str, seed: int, place: int = 0):
    run = some_run(f"{scenario}/{method}{seed}", method, seed)
    names = {"scenario_name": scenario, "cell_name": f"my {method}", "place": place}
    return replace(run, **names, scenario_id=f"{scenario}/{method}")


def two_scenarios():
    """Noise stands before standard in the file, wat before caat; noise has a method more."""
    cells = [("noise", "wat"), ("noise", "caat"), ("noise", "faal")]
    cells += [("standard", "wat"), ("standard", "caat")]
    runs = [of_file(*cell, seed, place) for place, cell in enumerate(cells) for seed in range(3)]
    errors = {run.id: 0.1 * (1 + len(run.method)) + 0.01 * run.seed for run in runs}
    return study_tables(runs[::-1], results(**errors))


def test_each_scenario_has_a_table_in_the_order_of_the_file_and_its_names():
    noise, standard = two_scenarios()
    assert (noise.scenario, standard.scenario) == ("noise", "standard")
    assert noise.rows["title"].tolist() == ["my wat", "my caat", "my faal"]
    assert standard.rows["title"].tolist() == ["my wat", "my caat"]
    assert standard.rows["n"].tolist() == [3, 3]


def test_scenarios_are_never_compared_with_each_other():
    text = json.loads(as_json(two_scenarios()))["tables"]
    best_of_noise = text[0]["rows"][0]
    assert best_of_noise["robust_error_difference"] is None
    assert text[1]["rows"][0]["robust_error_difference"] is None


def test_every_format_says_which_scenario_a_table_is_of():
    tables = [replace(table, scenario=f"{table.scenario} 20 % <b>") for table in two_scenarios()]
    assert "Scenario: noise 20 % \\<b\\>. Protocol: " in as_markdown(tables)
    assert r"\multicolumn{8}{l}{noise 20 \% \textless{}b\textgreater{}}" in as_latex(tables)
    assert "Scenario: noise 20 % &lt;b&gt;. " in as_html(tables)
    read = pd.read_csv(io.StringIO(as_csv(tables)))
    assert read["scenario"].tolist() == ["noise 20 % <b>"] * 3 + ["standard 20 % <b>"] * 2


def test_scenarios_of_one_protocol_are_no_two_ways_of_measuring():
    assert "measured in" not in as_markdown(two_scenarios())


# -- columns from classes


def class_errors(run_id: str, values, name: str = "robust_error", n: int = 50) -> pd.DataFrame:
    rows = [(run_id, name, index, value, n) for index, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["run_id", "name", "class_index", "value", "n"])


def test_the_worst_tenths_and_the_nsd_are_those_of_the_class_errors():
    values = np.random.default_rng(0).uniform(size=25)
    row = of_classes(class_errors("a", values)).loc["a"]
    worst = sorted(values, reverse=True)
    assert row["worst_10_percent_robust_error"] == pytest.approx(np.mean(worst[:3]))
    assert row["worst_30_percent_robust_error"] == pytest.approx(np.mean(worst[:8]))
    assert row["robust_error_nsd"] == pytest.approx(np.std(values) / np.mean(values))


def test_a_class_without_images_counts_nowhere():
    some, none = class_errors("a", [0.2, 0.4]), class_errors("a", [np.nan], n=0)
    assert of_classes(pd.concat([some, none])).loc["a", "robust_error_nsd"] == pytest.approx(1 / 3)


def of_classes_table(num_classes: int):
    run = some_run("a", "caat", 0)
    values = np.linspace(0.1, 0.9, num_classes)
    return study_tables([run], results(a=0.5), class_errors("a", values))


def test_columns_of_worst_tenths_stand_where_classes_are_many():
    assert "worst 10 %" not in as_markdown(of_classes_table(10))
    text = as_markdown(of_classes_table(20))
    assert "| Robust, worst 10 % | Robust, worst 30 % |" in text
    assert "| NSD, robust |" in text


def test_an_nsd_is_no_percentage():
    (table,) = of_classes_table(3)
    expected = np.std([0.1, 0.5, 0.9]) / 0.5
    assert as_markdown([table]).splitlines()[-3].endswith(f"| {expected:.2f} |")
    assert not MEASURES["robust_error_nsd"].is_share


def test_classes_have_the_mean_over_seeds_of_each_row():
    runs = [some_run(f"a{seed}", "caat", seed) for seed in range(2)]
    classes = pd.concat([class_errors("a0", [0.2, 0.4]), class_errors("a1", [0.4, 0.8])])
    (table,) = study_tables(runs, results(a0=0.3, a1=0.6), classes)
    assert table.classes["value"].tolist() == pytest.approx([0.3, 0.6])
    assert set(table.classes["title"]) == {"caat"}
    assert table.num_classes == 2


# -- HTML


class Tags(HTMLParser):
    """What a page is made of: its open tags, and addresses that it would ask."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asked: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open += [] if tag == "meta" else [tag]
        self.asked += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_well_formed_asks_nobody_and_marks_the_best():
    text = as_html([of_three_seeds(a=(0.1, 0.11, 0.12), b=(0.2, 0.211, 0.22))], "a")
    tags = Tags(text)
    assert tags.open == []
    assert tags.asked == []
    assert "<b>11.00</b> ± 1.00" in text
    assert text.count("<table>") == 2


def test_a_name_is_no_html():
    runs = [some_run("a", "<script>", 0)]
    text = as_html(study_tables(runs, results(a=0.1)))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


# -- ranks


def test_ranks_are_over_every_scenario_and_seed_of_what_all_have():
    found = study_ranks(two_scenarios(), "robust_error")
    assert found.left_out == ["my faal"]
    assert found.found.n == 6
    assert found.rows["title"].tolist() == ["my wat", "my caat"]
    assert found.rows["rank"].tolist() == [1, 2]
    assert found.found.critical_difference == pytest.approx(ranks([[0, 1]] * 6).critical_difference)


def test_one_setting_has_no_ranks():
    runs = [some_run(method, method, 0) for method in ("a", "b")]
    assert study_ranks(study_tables(runs, results(a=0.1, b=0.2)), "robust_error") is None


# -- the page


@pytest.fixture
def study(studio):
    """Noise and standard, two methods, three seeds; trades fails its worst class under noise."""
    for first, (scenario, ratio) in enumerate((("noise", 0.2), ("standard", 0.0))):
        data = {"noise": {"kind": "pair", "ratio": ratio}} if ratio else {}
        for place, method in enumerate(("caat", "trades")):
            for seed in range(3):
                settings = {"data": data, "method": {"name": method}, "seed": seed}
                run_id = studio.finished("R", study="S", **settings)
                worst = 0.9 if (method, scenario) == ("trades", "noise") else 0.3
                studio.measured(run_id, [0.2] * 9 + [worst + 0.1 * (seed == 2)])
                studio.called(run_id, "S", scenario, f"my {method}", place=2 * first + place)
    return studio


def test_the_page_answers_for_every_scenario_and_shows_the_one_that_is_asked_for(study, open_page):
    page = open_page("studies", study="S", scenario="standard", evidence="Classes")
    said = words(page)
    assert "noise:" in said
    assert "my caat has the lowest robust error in its worst class: 33.33 %" in said
    assert "my caat and my trades have the lowest robust error in their worst class" in said
    assert "Scenario" in [box.label for box in page.selectbox]
    alts = [chart.proto.alt for chart in page.get("plotly_chart")]
    assert alts[0] == "Ranking by Robust, worst: 1. my caat, 1. my trades"
    assert alts[1].startswith("Error by method and class, largest: ")
    (grid,) = [element.value for element in page.markdown if "Seed 0" in element.value]
    assert "| noise | my caat |" in grid.replace("\\", "")


@pytest.mark.parametrize(
    ("kind", "alt"),
    [("Differences", "Differences to my caat: my trades 60.0 %"), ("Ranks", "Ranks: my caat ")],
)
def test_evidence_is_drawn_as_it_is_chosen(study, open_page, kind, alt):
    page = open_page("studies", study="S", scenario="noise", evidence=kind)
    assert page.get("plotly_chart")[1].proto.alt.startswith(alt)


def test_a_difference_is_to_whom_a_person_chooses(study, open_page):
    page = open_page("studies", study="S", scenario="noise", evidence="Differences")
    page.selectbox(key="against").set_value("my trades").run()
    assert page.get("plotly_chart")[1].proto.alt == "Differences to my trades: my caat -60.0 %"


def test_what_failed_is_named_and_led_to(study, open_page):
    run_id = study.failed("F", "out of memory")
    study.called(run_id, "S", "noise", "my wat", place=9)
    said = [warning.value for warning in open_page("studies", study="S").warning]
    assert any(f"my wat, noise, seed 0](run?id={run_id})" in text for text in said)


def test_the_tables_of_the_command_are_those_of_the_page(study):
    tables = read_tables(study.database, "S")
    assert [table.scenario for table in tables] == ["noise", "standard"]
    assert all(table.rows["robust_error_nsd"].notna().all() for table in tables)


def test_the_command_puts_what_papers_printed_below_its_tables_and_never_among_them(study, caat):
    plain = caat("table", "S")[1]
    both = caat("table", "S", "--published")[1]
    assert both.startswith(plain)
    assert "| CAAT ReMargin | 13.90 | 24.30 | 29.30 | 44.40 | PGD, " in both
    assert "CAAT ReMargin" not in plain
    page = caat("table", "S", "--published", "--format", "html")[1]
    assert Tags(page).open == []
    assert page.endswith("</table>\n</body></html>\n")
    latex = caat("table", "S", "--published", "--format", "latex")[1]
    assert latex.count("\\toprule") == latex.count("\\bottomrule") == 3
    assert latex.isascii()


@pytest.mark.parametrize("format_", ["csv", "json"])
def test_one_table_for_programs_takes_no_published_numbers(study, caat, format_):
    code, out, said = caat("table", "S", "--published", "--format", format_)
    assert (code, out) == (2, "")
    assert said == (
        f"caat: --published: not in {format_}, which holds one table; use markdown, latex, html\n"
    )
