"""Which lines tell what tests run a line, and which tests are there for a file as a whole."""

import ast
import re
from pathlib import Path
from typing import Any

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef)
PARTS = (ast.stmt, ast.excepthandler, ast.match_case)


def run_with(code: str, line: int) -> set[int]:
    """Return the lines of code whose tests are those of one line of it.

    They are its statement's, as only some lines of one are recorded; of the head of a function or
    a class, which runs when its file is loaded, those inside. There are none for what else runs
    then: only the test that happened to be first is recorded there.
    """
    tree = ast.parse(code)
    called = {
        each for node in ast.walk(tree) if isinstance(node, FUNCTIONS) for each in _body(node)
    }
    part = _part_at(tree, line)
    inside = called.intersection(_body(part)) if isinstance(part, SCOPES) else set()
    return inside or called.intersection(_head(part) if part else [line])


def importers(module: str, folder: Path) -> set[str]:
    """Return the files of tests that import a module, from the folder above theirs."""
    package, _, name = module.rpartition(".")
    asked = re.compile(
        rf"^\s*(from {re.escape(module)} import|import {re.escape(module)}\b"
        rf"|from {re.escape(package)} import .*\b{re.escape(name)}\b)",
        re.MULTILINE,
    )
    return {
        path.relative_to(folder.parent).as_posix()
        for path in folder.rglob("test_*.py")
        if asked.search(path.read_text("utf-8"))
    }


def _part_at(tree: ast.AST, line: int) -> ast.AST | None:
    """Return the innermost statement, or part of one with a body of its own, at a line."""
    found = [node for node in ast.walk(tree) if isinstance(node, PARTS) and line in _extent(node)]
    return min(found, key=lambda node: len(_extent(node)), default=None)


def _extent(node: Any) -> range:
    """Return its lines; those of decorators too, which Python does not count."""
    first = node.pattern if isinstance(node, ast.match_case) else node
    last = node.body[-1] if isinstance(node, ast.match_case) else node
    decorators = getattr(node, "decorator_list", [])
    return range(min(each.lineno for each in [first, *decorators]), last.end_lineno + 1)


def _body(node: Any) -> range:
    return range(node.body[0].lineno, node.end_lineno + 1)


def _head(node: Any) -> range:
    """Return the lines of a statement, or of what stands before its body."""
    lines, body = _extent(node), getattr(node, "body", None)
    return range(lines.start, max(body[0].lineno, lines.start + 1)) if body else lines
