"""Names that try to be something else are shown as names, on every page and in every download."""

import csv
import io
import re
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import inspect, text

from app.data.cached import as_csv
from app.navigation import PAGES
from app.run_tabs.tabs import TABS
from app.scenario.toml_in import read_scenario
from db.reads import queries
from db.writes import records
from engine.errors import UserError
from engine.names import visible
from tests.app.browser import drawn_again, served, visiting
from tests.app.payloads import HIDDEN, HOST, LONG, NAMES, PAYLOADS

CLASSES = ["<img src=x onerror=alert(1)>", f"![x](https://{HOST}/x)", f"https://{HOST}", "$x^2$"]
CLASSES += [":material/home:", ":red[x]", "%{x}", "&lt;b&gt;", "=1+1", "a\u202eb"]

SCRIPT = """
import streamlit as st
from app.text.markdown import literal
from tests.app.payloads import PAYLOADS
for index, payload in enumerate(PAYLOADS):
    with st.container(key=f"shown-{index}"):
        st.markdown(f"**{literal(payload)}**")
"""

INTRUDERS = f"""() => [...document.querySelectorAll(
    'a[href*="{HOST}"], [src*="{HOST}"], [href^="javascript:"], [onerror], [onload], [onfocus],'
    + '[ontoggle], .katex, [data-testid=stMarkdownColoredText] [data-testid=stIconMaterial],'
    + 'iframe:not([data-testid=stCustomComponentV1])'
)].map((element) => element.outerHTML.slice(0, 200))"""


def words_of(text: str) -> str:
    return " ".join(text.replace("\u2060", "").split())


def shown_as(name: str) -> str:
    """Return a name as a page shows it: its line breaks and tabs are spaces there."""
    return words_of(visible(" ".join(re.split(r"[ \t\r\n]+", name))))


def bare(text: str) -> set[str]:
    """Return what a text holds that turns directions, has no width or is obeyed by a terminal."""
    turning = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN", "B", "S")
    ours = "\n\t\u2060"  # the pages' own
    needed = "\u200c\u200d"  # kept in words of Persian and in emoji
    return {
        letter
        for letter in text
        if unicodedata.bidirectional(letter) in turning and letter not in ours + needed
    }


POWERS = r"""() => {
    for (const tick of document.querySelectorAll(".xtick text, .ytick text"))
        if (/^[\d.\u2212\u00d7]*10<sup>\u2212?\d+<\/sup>$/.test(tick.dataset.unformatted))
            tick.textContent = "";
    return document.body.innerText;
}"""
"""What a page says, but for powers of ten on axes, beside which Plotly puts spaces of no width."""


def counts(studio) -> dict[str, int]:
    """Return the number of rows of every table, by its name."""
    with studio.database.read() as session:
        tables = inspect(session.connection()).get_table_names()
        return {
            name: session.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            for name in tables
        }


def test_every_name_is_shown_letter_by_letter_and_nothing_else(chromium, data_dir, tmp_path):
    script = tmp_path / "names.py"
    script.write_text(SCRIPT)
    with served(script, data_dir) as address, visiting(chromium, address) as visit:
        page = visit.go("/")
        last = len(PAYLOADS) - 1
        page.locator(f".st-key-shown-{last}").wait_for(state="attached")
        shown = page.evaluate(
            """(number) => [...Array(number).keys()].map((index) => {
                const element = document.querySelector(`.st-key-shown-${index}`);
                const inner = [...element.querySelectorAll("p strong *")];
                return [element.innerText, inner.map((part) => part.tagName)];
            })""",
            len(PAYLOADS),
        )
        wrong = [
            (payload, said, tags)
            for payload, (said, tags) in zip(PAYLOADS, shown, strict=True)
            if shown_as(payload) and (words_of(said) != shown_as(payload) or tags)
        ]
        assert not wrong, wrong
        assert page.evaluate(INTRUDERS) == []


def test_hostile_names_of_runs_and_classes_do_nothing_on_any_page(studio, visit):
    half = len(NAMES) // 2
    for payload in NAMES[:half]:
        studio.queued(payload)
    for payload in HIDDEN:
        studio.queued(payload, study=payload)
    finished = [studio.finished(payload, 2, study="S") for payload in HIDDEN[-4:]]
    with studio.database.write() as session:
        facts = dict(queries.get_run(session, finished[-1]).facts)
        for run_id in finished:
            records.write_facts(session, run_id, facts | {"class_names": CLASSES})
    before = counts(studio)
    compared = "&".join(f"runs={run_id}" for run_id in finished)
    links = [page.path for page in PAGES] + [f"/fairness?{compared}", "/tradeoff?paths=true"]
    links += [f"/run?id={finished[-1]}&tab={tab}" for tab in TABS]
    for link in links:
        page = visit.go(link)
        page.get_by_role("heading").first.wait_for()
        assert page.evaluate(INTRUDERS) == [], link
        assert page.locator("[data-testid=stException]").count() == 0, link
        assert bare(page.evaluate(POWERS)) == set(), link
    assert counts(studio) == before


@pytest.mark.parametrize(
    "name", ["'; DROP TABLE run; SELECT '", "<script>alert(1)</script> $x$ :red[x]"]
)
def test_a_typed_name_is_stored_and_shown_as_it_was_typed(studio, visit, name):
    page = visit.go("/new")
    field = page.get_by_label("Name", exact=True).first
    field.fill(name)
    with drawn_again(page):
        field.press("Enter")
    page.locator(".st-key-launch button").click()
    page.get_by_text("Open the run").click()
    page.locator(".st-key-run-title h1").get_by_text(name).wait_for()
    with studio.database.read() as session:
        (run,) = queries.list_runs(session)
    assert run.name == name


def test_a_name_of_ten_thousand_letters_is_refused_with_the_limit(studio, visit):
    page = visit.go("/new")
    field = page.get_by_label("Name", exact=True).first
    field.fill(LONG)
    field.press("Enter")
    page.get_by_text("at most 200 characters").first.wait_for()
    page.locator(".st-key-launch button").click()
    page.get_by_text("Nothing was queued").wait_for()
    with studio.database.read() as session:
        assert queries.run_count(session) == 0


@pytest.mark.parametrize("place", ["search", "link"])
def test_what_is_searched_for_is_only_searched_for(studio, visit, place):
    studio.queued("It's 100%_sure")
    studio.queued("Another")
    before = counts(studio)
    page = visit.go(
        "/" if place == "search" else "/?q=%27%20OR%201%3D1%3B--&status=%3Cscript%3E&method=%27"
    )
    box = page.get_by_role("textbox", name="Search")
    if place == "search":
        box.fill("' OR 1=1;--")
        box.press("Enter")
    page.get_by_text("No run matches").wait_for()
    box.fill("100%_")
    box.press("Enter")
    page.locator("[data-testid=stDataFrame]").first.wait_for()
    assert counts(studio) == before


def test_links_with_hostile_parameters_lead_to_a_page_that_says_so(studio, visit):
    studio.finished()
    evil = "%3Cscript%3Ealert(1)%3C%2Fscript%3E'%3B--..%2F..%2F%00"
    names = ("id", "runs", "run", "study", "tab", "like", "point", "protocol", "epoch", "claim")
    query = "&".join(f"{name}={evil}" for name in names)
    for link in PAGES:
        page = visit.go(f"{link.path}?{query}")
        page.get_by_role("heading").first.wait_for()
        assert page.evaluate(INTRUDERS) == [], link
        assert page.locator("[data-testid=stException]").count() == 0, link


def test_a_download_is_read_by_a_spreadsheet_as_text():
    table = pd.DataFrame({"name": PAYLOADS, "value": -1.5})
    rows = list(csv.reader(io.StringIO(as_csv(table).decode(), newline="")))[1:]
    assert len(rows) == len(PAYLOADS)
    assert [row[1] for row in rows] == ["-1.5"] * len(PAYLOADS)
    for payload, (cell, _) in zip(PAYLOADS, rows, strict=True):
        assert cell.lstrip()[:1] not in tuple("=+-@\uff1d")
        assert bare(cell) == set()
        given_back = re.sub(r"^'(?='*\s*[=+\-@\uff0b-\uff20])", "", cell)
        assert given_back == visible(payload)


def test_a_column_of_a_download_is_text_too():
    assert as_csv(pd.DataFrame({"=1+1": ["a"]})).decode().splitlines()[0] == "'=1+1"


@pytest.mark.parametrize("payload", NAMES)
def test_a_name_from_a_file_is_that_name(payload, tmp_path: Path):
    file = tmp_path / "run.toml"
    letters = "".join(f"\\U{ord(letter):08x}" for letter in payload)
    file.write_text(f'name = "{letters}"')
    assert read_scenario(file, []).name == payload


@pytest.mark.parametrize("payload", HIDDEN)
def test_a_name_that_cannot_be_shown_is_refused_in_one_line_that_shows_it(payload, tmp_path: Path):
    file = tmp_path / "run.toml"
    letters = "".join(f"\\U{ord(letter):08x}" for letter in payload)
    file.write_text(f'name = "{letters}"')
    with pytest.raises(UserError, match=r"^name: '.*' cannot be shown as it is: U\+") as refused:
        read_scenario(file, [])
    assert bare(str(refused.value)) == set()
    assert "\n" not in str(refused.value)


def test_a_name_that_is_too_long_is_refused_by_the_command_with_the_limit(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("")
    with pytest.raises(UserError, match=r"^name: .*at most 200 characters$"):
        read_scenario(file, [f"name={LONG}"])


def test_a_table_offers_no_file_with_its_cells_as_they_are(studio, visit):
    studio.queued("=1+1")
    page = visit.go("/")
    page.locator("[data-testid=stDataFrame]").first.hover()
    page.get_by_label(re.compile("^Search: Runs")).wait_for()
    unescaped = page.get_by_label(re.compile("^Download as CSV"))
    assert unescaped.count() == 1
    assert not unescaped.is_visible()


def test_every_table_of_a_page_is_drawn_by_the_one_function_that_shows_all_of_its_text():
    app = Path(__file__).parents[2] / "app"
    callers = [path.name for path in app.rglob("*.py") if "st.dataframe(" in path.read_text()]
    assert callers == ["page.py"]
