"""Where every page is, as the navigation and the tabs of a run say: a new one is there at once.

Read from their source, since Streamlit runs a page by importing it; tests, benchmarks and pictures
go through all pages.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class PageLink:
    """One page: its title, its file below ``app``, and the path of its link."""

    title: str
    file: str
    path: str


def page_links() -> list[PageLink]:
    """Return every page that the navigation names, in its order; that of one run is the last."""
    found = [
        _link(call)
        for call in ast.walk(_source("main.py"))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "st.Page"
    ]
    return sorted(found, key=lambda link: link.path == "/run")


def run_tabs() -> list[str]:
    """Return the titles of a run's tabs, in their order."""
    for node in ast.walk(_source("views/run.py")):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TABS":
            return list(ast.literal_eval(ast.List(node.value.keys)))  # type: ignore[attr-defined]
    raise LookupError("app/views/run.py has no TABS")


def _source(file: str) -> ast.Module:
    return ast.parse((HERE / file).read_text(encoding="utf-8"))


def _link(call: ast.Call) -> PageLink:
    named = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    file = ast.literal_eval(call.args[0])
    path = "" if named.get("default") else named.get("url_path") or Path(file).stem
    return PageLink(named["title"], file, f"/{path}")
