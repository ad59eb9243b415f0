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


def test_no_file_is_longer_than_one_looks_through():
    tests = list((ROOT / "tests").rglob("*.py"))
    for files, most in ((FILES, 300), (tests, 350)):
        long = [str(path) for path in files if len(path.read_text().splitlines()) > most]
        assert not long, f"more than {most} lines: {', '.join(long)}"


def too_many_by_place(text):
    """Give line and name of each function of a file that takes a fourth one by its place."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            names = [given.arg for given in node.args.posonlyargs + node.args.args]
            if len(names) - (names[:1] in (["self"], ["cls"])) > MOST:
                yield node.lineno, getattr(node, "name", "lambda")


BY_PLACE = {("engine/library/perturbation.py", "perturb")}
"""What everybody outside calls as the field does: perturb(model, x, y, threat)."""


def test_a_parameter_from_the_fourth_on_is_given_by_its_name():
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}: put a `*` after its third parameter"
        for path in FILES
        for line, name in too_many_by_place(path.read_text())
        if (str(path.relative_to(ROOT)), name) not in BY_PLACE
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


CHANGING = {
    "app/cli/processes.py": ["Child"],
    "app/data/resilient.py": ["_Memory"],
    "app/new_run/launch.py": ["_Memory"],
    "app/server/gate.py": ["Gate"],
    "db/studies.py": ["StudyRow"],
    "engine/methods/base.py": ["Learner"],
    "engine/perturbation/training.py": ["TrainingAttack"],
    "tasks/worker/supervise.py": ["Supervisor"],
}
"""Records that change while they live, or that a test fits to its case; no other one does."""


def unfrozen(text):
    """Give the name of each dataclass of a file that may be changed."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                written = ast.unparse(decorator)
                if written.startswith("dataclass") and "frozen=True" not in written:
                    yield node.name


def test_a_record_is_frozen_unless_it_is_one_of_those_that_change():
    found = {str(path.relative_to(ROOT)): list(unfrozen(path.read_text())) for path in FILES}
    assert {file: names for file, names in found.items() if names} == CHANGING


@pytest.mark.parametrize(
    ("decorator", "names"),
    [
        ("@dataclass", ["C"]),
        ("@dataclass()", ["C"]),
        ("@dataclass(frozen=False)", ["C"]),
        ("@dataclass(kw_only=True)", ["C"]),
        ("@dataclass(frozen=True)", []),
        ("@dataclass(kw_only=True, frozen=True)", []),
        ("", []),
    ],
)
def test_which_records_are_not_frozen(decorator, names):
    assert list(unfrozen(f"{decorator}\nclass C: ...")) == names
