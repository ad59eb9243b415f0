"""Which tests a fault is put to: those that run its statement, wherever in it the fault is."""

import pytest

from benchmarks.statements import importers, run_with

CODE = """\
LIMIT = min(
    3,
    4,
)


@marked
class Name:
    size: int = field(
        default=2,
    )

    @kept(
        key=1,
    )
    def half(self, by=2):
        if self.size > (
            by
        ):
            return self.size // by
        match by:
            case 1:
                return 0
        try:
            return given(
                1,
                by,
            )
        except OSError:
            return 1


@marked
class Empty:
    size: int = 1
"""
BODY = set(range(17, 31))


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        pytest.param(3, set(), id="loaded with the file"),
        pytest.param(10, set(), id="loaded with its class"),
        pytest.param(7, BODY, id="a decorator of a class"),
        pytest.param(8, BODY, id="the name of a class"),
        pytest.param(14, BODY, id="a decorator of a function"),
        pytest.param(16, BODY, id="the head of a function"),
        pytest.param(18, {17, 18, 19}, id="a condition"),
        pytest.param(20, {20}, id="what follows a condition"),
        pytest.param(22, {22}, id="a case"),
        pytest.param(27, {25, 26, 27, 28}, id="the middle of a statement"),
        pytest.param(29, {29}, id="what catches an error"),
        pytest.param(33, set(), id="a class without functions"),
    ],
)
def test_a_line_is_run_by_the_tests_that_run_its_statement_when_it_is_called(line, lines):
    assert run_with(CODE, line) == lines


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("from engine.names import folded", True),
        ("import engine.names", True),
        ("    from engine import errors, names", True),
        ("from engine.names_of import folded", False),
        ("from engine import renames", False),
        ("from app.engine.names import folded", False),
    ],
)
def test_a_file_of_tests_imports_a_module_by_any_of_its_forms(tmp_path, text, does):
    folder = tmp_path / "tests" / "engine"
    folder.mkdir(parents=True)
    (folder / "test_it.py").write_text(f"import os\n{text}\n")
    found = importers("engine.names", tmp_path / "tests")
    assert found == ({"tests/engine/test_it.py"} if does else set())
