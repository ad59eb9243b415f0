"""docs/reliability.md: written from the figures that stand in the JSON file beside it."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.pool import NullPool

from db import connection as engines
from engine.runtime import versions
from tests.faults.frame import Figure, Programme
from tests.faults.registry import PROGRAMMES, name_of

KINDS = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
HEAD = """# What it withstands

    python benchmarks/faults.py                 all of it
    python benchmarks/faults.py --only NAME     one part; the other rows stay

Faults on purpose, on real processes and real databases; every target was set before its figure was
found. A share below 1 is that part of the counts; the test suite runs a thirtieth of each, and
judges all but times.
Written by the command.
"""


class Page:
    """The page and its figures."""

    def __init__(self, path: Path) -> None:
        self.path, self.figures = path, path.with_suffix(".json")

    def store(self, name: str, kind: str, figures: Sequence[Figure], **about: object) -> None:
        """Replace what was found by one programme on one database, and write the page again.

        Args:
            name: Of the programme.
            kind: Of the database.
            figures: What was found.
            **about: ``seed``, ``share``, ``seconds`` and ``machine``.
        """
        stored = json.loads(self.figures.read_text()) if self.figures.exists() else {}
        found = {"date": datetime.now(UTC).date().isoformat(), **about}
        found["figures"] = [asdict(figure) for figure in figures]
        stored.setdefault(name, {})[kind] = found
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.figures.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")
        self.path.write_text(written(stored))


def written(stored: dict[str, dict[str, Any]]) -> str:
    """Return the page, programmes in the registry's order."""
    sections = [_section(p, stored[name_of(p)]) for p in PROGRAMMES if name_of(p) in stored]
    machines = {found["machine"]: None for kinds in stored.values() for found in kinds.values()}
    return "\n".join([HEAD, *(f"Machine: {name}.\n" for name in machines), *sections])


def _section(programme: Programme, by_kind: dict[str, Any]) -> str:
    done = (programme.__doc__ or "").strip()
    table = ["| database | what | target | found | met |", "| --- | --- | --- | --- | --- |"]
    measured = []
    for kind in (kind for kind in KINDS if kind in by_kind):
        found = by_kind[kind]
        for row in found["figures"]:
            met = "yes" if row["ok"] else "**no**"
            cells = (KINDS[kind], row["what"], row["target"], row["found"], met)
            table.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        measured.append(
            f"{KINDS[kind]}: {found['date']}, seed {found['seed']}, share {found['share']:g}, "
            f"{found['seconds']} s"
        )
    said = "; ".join(measured)
    head = f"## {programme.TITLE}\n\n`{name_of(programme)}`: {done}\n"
    return "\n".join([head, *table, f"\n{said}.\n"])


def machine(server: sqlalchemy.URL) -> str:
    """Return what was measured on: processor, cores, system and versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    engine = sqlalchemy.create_engine(server, poolclass=NullPool)
    with engine.connect() as connection:
        postgresql = connection.execute(sqlalchemy.text("SHOW server_version")).scalar_one()
    known = {"SQLite": engines.sqlite_driver.sqlite_version, "PostgreSQL": postgresql.split()[0]}
    told = ", ".join(f"{name} {version}" for name, version in (known | versions()).items())
    processor = models[0] if models else platform.processor()
    return f"{processor}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; {told}"
