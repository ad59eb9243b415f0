"""Reads of the database for the pages: each is kept for a while, and none shows a spinner."""

import ast
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import ModuleType

from streamlit.delta_generator import DeltaGenerator

from app.compare import runs as comparison
from app.data import cached, evaluations
from app.samples import reads as samples
from app.studies import reads as studies
from db.reads.listing import NEWEST_FIRST, RunFilter
from db.session import Database

MODULES = (cached, evaluations, comparison, samples, studies)


def reads(module: ModuleType) -> dict[str, ast.arguments]:
    """The public functions of a module that ask for the database, with their parameters."""
    return {
        node.name: node.args
        for node in ast.parse(Path(module.__file__).read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name[0] != "_" and asks(node)
    }


def asks(function: ast.FunctionDef) -> bool:
    called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return any(ast.unparse(one) in ("database", "cached.database") for one in called)


def questions(run_id: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every read, by its name, with what it is asked of a finished run."""
    where = ("succeeded", 1, 3)
    known = {
        "run_id": run_id,
        "run_ids": (run_id,),
        "finished": (run_id,),
        "reached": where,
        "quantity": "bound",
        "label_group": "all",
        "split": "test",
        "trait": "loss",
        "attempt": 1,
        "epoch": 3,
        "classes": (0,),
        "row": 0,
        "token": 0,
        "wanted": RunFilter(),
        "order": NEWEST_FIRST,
        "page": 1,
        "name": "Study",
        "evaluation": "final",
        "made": None,
    }
    several = known | {"reached": ((run_id, where),)}
    for module in MODULES:
        for name, parameters in reads(module).items():
            values = several if name == "run_curves" else known
            by_place = [values[one.arg] for one in parameters.args]
            by_name = {one.arg: values[one.arg] for one in parameters.kwonlyargs}
            yield f"{module.__name__}.{name}", partial(getattr(module, name), *by_place, **by_name)


def test_what_was_read_is_kept_for_the_next_drawing_and_no_spinner_shows_that_it_is_read(
    studio, monkeypatch
):
    asked = dict(questions(studio.finished("Done", study="Study")))
    read, looks, spinners = Database.read, [], []
    monkeypatch.setattr(Database, "read", lambda database: looks.append(1) or read(database))
    monkeypatch.setattr(
        DeltaGenerator, "spinner", lambda _, text, **__: spinners.append(text) or nullcontext()
    )

    def is_kept(ask: Callable[[], object]) -> bool:
        ask()
        before = len(looks)
        ask()
        return len(looks) == before

    # Some are kept for a second, which a busy machine may lose between two of them.
    kept = {name: any(is_kept(ask) for _ in range(3)) for name, ask in asked.items()}
    assert len(kept) > 25
    assert kept == dict.fromkeys(asked, True)
    assert looks
    assert spinners == []
