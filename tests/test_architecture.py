"""docs/architecture.md says where things are; these tests keep it true."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"


def rows(heading):
    """Return the cells of the table below a heading of the page."""
    text = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


def names_of(path):
    """Return what a file defines at its outermost level."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        found.update(target.id for target in targets if isinstance(target, ast.Name))
    return found


QUESTIONS = rows("Where is ...?")


def test_the_page_answers_twenty_questions():
    assert len(QUESTIONS) == len({question for question, *_ in QUESTIONS}) == 20


@pytest.mark.parametrize(("word", "meaning", "file", "name"), rows("Words"))
def test_a_word_of_the_glossary_is_defined_where_it_says(word, meaning, file, name):
    assert name in names_of(ROOT / file)


@pytest.mark.parametrize(("question", "file", "name"), QUESTIONS)
def test_the_file_that_answers_a_question_defines_the_name_beside_it(question, file, name):
    assert name in names_of(ROOT / file)


@pytest.mark.parametrize("file", sorted(set(re.findall(r"`(\w+/[\w/]+\.py)`", PAGE.read_text()))))
def test_every_file_that_the_page_names_is_there(file):
    assert (ROOT / file).is_file()


def script(name):
    """Load a script of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_drawing_is_that_of_todays_imports():
    page = PAGE.read_text()
    assert "graph TD" in page
    drawn = script("draw_architecture").with_drawing(page)
    assert drawn == page, "run: python docs/draw_architecture.py"


def test_the_table_of_methods_is_what_the_methods_say_of_themselves():
    page = (ROOT / "docs" / "methods.md").read_text()
    assert "| `trades` |" in page
    assert script("write_methods").with_table(page) == page, "run: python docs/write_methods.py"


def test_the_reference_is_what_the_fields_and_settings_say_of_themselves():
    page = (ROOT / "docs" / "reference.md").read_text()
    assert "| `CAAT_DATA_DIR` |" in page
    assert script("write_reference").written() == page, "run: python docs/write_reference.py"
