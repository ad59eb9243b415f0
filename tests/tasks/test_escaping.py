"""What a format's own parser reads of an escaped name is that name, and nothing else."""

import csv
import html.parser
import io
import re
import unicodedata

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from engine.names import require_name, visible
from tasks.escaping import (
    as_file_name,
    comment_for_latex,
    for_csv,
    for_html,
    for_latex,
    for_markdown,
    for_plotly,
    frame_for_csv,
    frame_for_page,
)
from tests.app.payloads import HIDDEN, NAMES

SIGNS = "=+-@'\"`\\^~{}[]()<>|$&#%_*!:;,.?/ \t\r\n1a\x1b\u202e\u200b\u200d\u0301\u3164\ufe0f"
texts = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=SIGNS, max_size=20),
    st.sampled_from([*NAMES, *HIDDEN]),
    st.lists(st.sampled_from([*NAMES, *HIDDEN]), min_size=2, max_size=3).map("".join),
)

some = settings(deadline=None, max_examples=60)

LATEX_SIGNS = {
    "textbackslash": "\\",
    "textasciicircum": "^",
    "textasciitilde": "~",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textasciigrave": "`",
    "textpm": "±",
}
LATEX_TOKEN = re.compile(
    r"\\(?P<sign>[#$%&_{}])"
    r"|\\(?P<word>[a-z]+)\{\}"
    r"|(?P<epsilon>\\ensuremath\{\\varepsilon\})"
    r"|(?P<quote>\\symbol\{34\})"
    r"|\{(?P<first>[\[*]?)\}"
    r"|(?P<plain>[^\\^~{}$&#%_<>|\"`])",
    re.DOTALL,
)


def is_silent(letter: str) -> bool:
    """Tell whether Unicode says that a letter is no ink, whatever stands around it."""
    turning = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    no_ink = unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
    return no_ink or unicodedata.bidirectional(letter) in turning or letter in SILENT


SILENT = "\u00ad\u034f\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2060\u2800\u3164\ufeff\uffa0"


def from_latex(text: str) -> str:
    """Read what LaTeX would print; a sign that it would obey is an error."""
    read, place = [], 0
    while place < len(text):
        token = LATEX_TOKEN.match(text, place)
        assert token, text[place:]
        place = token.end()
        if token["word"]:
            read.append(LATEX_SIGNS[token["word"]])
        elif token["epsilon"] or token["quote"]:
            read.append("ε" if token["epsilon"] else '"')
        else:
            read.append(token["sign"] or token["plain"] or token["first"] or "")
    return "".join(read)


class Reader(html.parser.HTMLParser):
    """What a browser would make of a page: its tags, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


@some
@given(texts)
def test_what_is_visible_holds_nothing_that_is_not(text):
    shown = visible(text)
    assert not [letter for letter in shown if is_silent(letter)]
    assert not re.search(r"\w[\u0300-\u036f]{5}", shown)
    assert visible(shown) == shown


@some
@given(texts)
def test_a_name_is_accepted_exactly_where_it_is_shown_as_it_is(text):
    if visible(text) == text:
        assert require_name(text) == text
        return
    with pytest.raises(ValueError, match=r"U\+") as refused:
        require_name(text)
    assert visible(str(refused.value)) == str(refused.value)


@some
@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters=SILENT)))
def test_letters_digits_and_signs_of_every_script_are_names(text):
    assert require_name(text) == visible(text) == text


@some
@given(st.text(st.characters(categories=["L"], exclude_characters=SILENT), min_size=1))
def test_accents_are_names_written_as_one_letter_or_as_two(text):
    assert require_name(unicodedata.normalize("NFC", text))
    assert require_name(unicodedata.normalize("NFD", text))


@some
@given(texts)
@example("[a")
@example("*")
def test_latex_prints_the_name_and_obeys_nothing_in_it(text):
    assert from_latex(for_latex(text)) == visible(text)
    assert not re.match(r"\s*[\[*]", for_latex(text))
    assert not re.search(r"--|''|,,|\?'|!'", for_latex(text))
    assert len(comment_for_latex(text).splitlines()) == 1


@some
@given(texts)
def test_a_cell_of_csv_is_text_and_can_be_read_back(text):
    file = io.StringIO(newline="")
    csv.writer(file).writerow([for_csv(text), "next"])
    ((cell, after),) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert after == "next"
    assert "\n" not in file.getvalue().removesuffix("\r\n")
    assert unicodedata.normalize("NFKC", cell).lstrip()[:1] not in tuple("=+-@\t\r")
    assert re.sub(r"^'(?='*\s*[=+\-@\uff1d\uff0b\uff0d\uff20])", "", cell) == visible(text)


@some
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), texts)
def test_numbers_of_a_table_stay_numbers_beside_text(numbers, text):
    table = pd.DataFrame({"number": numbers, "mixed": [text, *numbers[1:]], text or "x": 1})
    tame = frame_for_csv(table)
    assert tame["number"].tolist() == numbers
    assert tame["mixed"].tolist() == [for_csv(text), *numbers[1:]]
    assert frame_for_page(table)["mixed"].tolist() == [visible(text), *numbers[1:]]
    read = list(csv.reader(io.StringIO(tame.to_csv(index=False, lineterminator="\r\n"))))
    assert [float(row[0]) for row in read[1:]] == numbers


PLAIN_TAGS = {"table", "thead", "tbody", "tr", "th", "td", "p"}
MARKDOWN = [
    MarkdownIt("commonmark").enable("table"),
    MarkdownIt("js-default", {"html": True}),
]


@some
@given(texts)
def test_markdown_shows_the_name_letter_by_letter_in_a_table_and_in_a_line(text):
    name = for_markdown(text)
    for page in (f"| name | n |\n| --- | ---: |\n| {name} | 1 |\n", f"{name}x\n", f"Of {name}.\n"):
        for reader in MARKDOWN:
            read = Reader(reader.render(page))
            assert {tag for tag, _ in read.tags} <= PLAIN_TAGS
            assert sum(tag == "tr" for tag, _ in read.tags) in (0, 2)
            assert sum(tag in ("td", "p") for tag, _ in read.tags) == (2 if "|" in page[:1] else 1)
            assert " ".join(visible(text).split()) in " ".join(read.text.split())


@some
@given(texts)
def test_html_shows_the_name_in_an_element_and_in_an_attribute(text):
    read = Reader(f'<p title="{for_html(text)}">{for_html(text)}</p>')
    assert read.text == visible(text)
    assert read.tags == [("p", {"title": visible(text)})]


@some
@given(texts)
def test_plotly_is_given_no_tag_no_placeholder_and_no_tex(text):
    shown = for_plotly(text)
    assert not re.search(r"[<>$]|%\{", shown)
    assert Reader(shown).text == visible(text)


@some
@given(texts)
@example("\u23b4\ufe0e")  # a picture's style, whose picture no file name holds
def test_a_file_name_is_one_plain_file_everywhere(text):
    name = as_file_name(text, "csv")
    stem, dot, ending = name.partition(".")
    assert stem
    assert dot + ending == ".csv"
    assert stem.lower() not in ("con", "prn", "aux", "nul", "com1", "lpt1")
    assert all(letter in "-_" or unicodedata.category(letter)[0] in "LMN" for letter in stem)
    assert not stem.startswith("-")
    assert len(name) <= 70
    assert visible(name) == name
