"""Faults that cosmic-ray would put into the product: where, which, and the file with one in it."""

import ast
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

PACKAGES = ("engine", "db", "tasks", "app")
MISSED = "missed"
"""What became of a fault that no test noticed."""
GONE = "gone"
"""Of one whose line is no more in the product."""
Position = tuple[int, int]


@dataclass(frozen=True)
class Mutant:
    """One change of one place.

    Attributes:
        file: From the root of the project.
        line: Counted from 1.
        column: Counted from 0.
        operator: Its name in cosmic-ray.
        occurrence: Which of the places of the file that this operator could change, from 0.
    """

    file: str
    line: int
    column: int
    operator: str
    occurrence: int

    @property
    def package(self) -> str:
        return self.file.partition("/")[0]

    def applied(self, code: str) -> str:
        """Return the code of its file with this change."""
        changed = mutate_code(code, get_operator(self.operator)(), self.occurrence)
        if changed is None:
            raise ValueError(f"{self} changes nothing: draw the sample anew")
        return str(changed)

    def lines(self, code: str) -> tuple[str, str]:
        """Return its first line that differs, as it was and as it is."""
        before, after = code.splitlines(), self.applied(code).splitlines()
        for one, other in zip(before, after, strict=False):
            if one != other:
                return one.strip(), other.strip()
        return before[self.line - 1].strip(), ""


def sample(root: Path, number: int, seed: int) -> list[Mutant]:
    """Draw mutants, as many of each package; one of each place that is drawn."""
    rng = random.Random(seed)
    drawn = []
    for package in PACKAGES:
        places: dict[tuple[str, Position, str], list[Mutant]] = defaultdict(list)
        for path in sorted((root / package).rglob("*.py")):
            if "migrations" not in path.parts:
                for mutant in _mutants(path.relative_to(root).as_posix(), path.read_text("utf-8")):
                    family = mutant.operator.partition("_")[0]
                    places[mutant.file, (mutant.line, mutant.column), family].append(mutant)
        for place in rng.sample(sorted(places), number // len(PACKAGES)):
            drawn.append(rng.choice(places[place]))
    return drawn


def located(told: Mapping[str, Any], code: str) -> Mutant | None:
    """Return a change that was made of earlier code in today's, by what it does to its line."""
    lines = [line.strip() for line in code.splitlines()]
    for mutant in _mutants(told["file"], code):
        # A decorator is taken away with the empty line before it, the first line that differs.
        may_be = told["before"] in ("", lines[mutant.line - 1])
        is_like = mutant.operator == told["operator"] and may_be
        if is_like and mutant.lines(code) == (told["before"], told["after"]):
            return mutant
    return None


def _mutants(file: str, code: str) -> Iterator[Mutant]:
    tree = get_ast(code)
    nodes = list(ast_nodes(tree))
    types = list(_annotations(ast.parse(code)))
    for name in sorted(operator_names()):
        kind = get_operator(name)
        if kind.arguments():
            continue
        operator = kind()
        positions = [start for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, start in enumerate(positions):
            if not any(begin <= start < end for begin, end in types):
                yield Mutant(file, *start, operator=name, occurrence=occurrence)


def _annotations(tree: ast.AST) -> Iterator[tuple[Position, Position]]:
    """Give where types are written: a change there changes nothing that runs."""
    for node in ast.walk(tree):
        for field in ("annotation", "returns"):
            written = getattr(node, field, None)
            if written is not None:
                yield (
                    (written.lineno, written.col_offset),
                    (written.end_lineno, written.end_col_offset),
                )
