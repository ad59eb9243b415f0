"""Habits of CONTRIBUTING.md that can be read off the code."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    path for package in ("app", "db", "engine", "tasks") for path in (ROOT / package).rglob("*.py")
]
MOST = 3
"""How many parameters may be given by their place, besides ``self`` or ``cls``."""


def too_many_by_place(text):
    """Give line and name of each function of a file that takes a fourth one by its place."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            names = [given.arg for given in node.args.posonlyargs + node.args.args]
            if len(names) - (names[:1] in (["self"], ["cls"])) > MOST:
                yield node.lineno, getattr(node, "name", "lambda")


def test_a_parameter_from_the_fourth_on_is_given_by_its_name():
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}: put a `*` after its third parameter"
        for path in FILES
        for line, name in too_many_by_place(path.read_text())
    ]
    assert len(FILES) > 100
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def f(a, b, c, d): ...", ["f"]),
        ("def f(a, b, c, *, d): ...", []),
        ("def f(a, /, b, c, d): ...", ["f"]),
        ("async def f(a, b, c, d=1): ...", ["f"]),
        ("f = lambda a, b, c, d: a", ["lambda"]),
        ("class C:\n    def f(self, a, b, c): ...", []),
        ("class C:\n    def f(self, a, b, c, d): ...", ["f"]),
        ("class C:\n    @classmethod\n    def f(cls, a, b, c): ...", []),
        ("class C:\n    @staticmethod\n    def f(a, b, c, d): ...", ["f"]),
        ("def f(a):\n    def g(a, b, c, d): ...", ["g"]),
    ],
)
def test_which_functions_take_too_many_by_their_place(text, names):
    assert [name for _, name in too_many_by_place(text)] == names
