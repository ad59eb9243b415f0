"""Draw how the folders import each other, into docs/architecture.md.

    python docs/draw_architecture.py

The drawing is made from the imports themselves; `tests/test_architecture.py` fails when the page
holds another one. An arrow that others imply is left out.
"""

from collections.abc import Iterable
from pathlib import Path

import grimp

PAGE = Path(__file__).parent / "architecture.md"
PACKAGES = ("app", "tasks", "engine", "db")
BEGIN, END = "<!-- drawn from the imports -->\n", "<!-- end of the drawing -->\n"

Arrows = set[tuple[str, str]]


def drawn() -> str:
    """Return the drawing: the four packages, then the folders and files in each of them."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {
        (name, other)
        for name in graph.modules
        for other in graph.find_modules_directly_imported_by(name)
    }
    parts = [_chart(_between(imports, depth=1))]
    for package in PACKAGES:
        inside = {pair for pair in imports if all(n.startswith(f"{package}.") for n in pair)}
        parts += [f"### {package}\n\n" + _chart(_between(inside, depth=2))]
    return "\n".join(parts)


def _between(imports: Iterable[tuple[str, str]], depth: int) -> Arrows:
    """Return the arrows between what stands at a depth of the tree."""
    pairs = {
        ("/".join(name.split(".")[:depth]), "/".join(other.split(".")[:depth]))
        for name, other in imports
    }
    return {(name, other) for name, other in pairs if name != other}


def _chart(arrows: Arrows) -> str:
    lines = [f"  {_id(a)}[{_label(a)}] --> {_id(b)}[{_label(b)}]" for a, b in sorted(_few(arrows))]
    return "\n".join(["```mermaid", "graph TD", *lines, "```", ""])


def _id(name: str) -> str:
    return name.replace("/", "_")


def _label(name: str) -> str:
    return name.rpartition("/")[2]


def _few(arrows: Arrows) -> Arrows:
    """Leave out each arrow that a longer way implies (transitive reduction; there is no cycle)."""
    below: dict[str, set[str]] = {}
    for a, b in arrows:
        below.setdefault(a, set()).add(b)

    def reached(name: str) -> set[str]:
        direct = below.get(name, set())
        return direct.union(*(reached(other) for other in direct))

    return {(a, b) for a, b in arrows if not any(b in reached(other) for other in below[a] - {b})}


def with_drawing(page: str) -> str:
    """Return the page with today's drawing in the place of the earlier one."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{drawn()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_drawing(PAGE.read_text()))
