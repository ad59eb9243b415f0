"""What does the studio withstand? Faults on purpose, and what was found.

    python benchmarks/faults.py [--share 1.0] [--seed 0] [--only NAME ...] [--out FILE]

Runs every programme of tests/faults on SQLite and on PostgreSQL. What was found stands in the
JSON file beside the page, from which the page is written, so that `--only` renews its own rows and
keeps the others. The exit code is 1 if a target was missed. The test suite runs a thirtieth of
each.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A benchmark beside this file is called like a package, and its folder is first on the path.
HERE = Path(__file__).resolve().parent
sys.path = [str(HERE.parent), *(entry for entry in sys.path if Path(entry).resolve() != HERE)]

from sqlalchemy import URL

from benchmarks.fault_page import KINDS, Page, machine
from db.session import Database
from db.settings import sqlite_url
from tests.faults.frame import Figure, Plan, Programme
from tests.faults.registry import PROGRAMMES, name_of
from tests.real import servers


@contextmanager
def installation(kind: str, server: URL) -> Iterator[tuple[Path, str]]:
    """Give an empty data directory, and the URL of a database with empty tables."""
    with tempfile.TemporaryDirectory(prefix="caat-") as name, servers.new_database(server) as new:
        on_disk = sqlite_url(Path(name) / "caat.db")
        url = on_disk if kind == "sqlite" else new.render_as_string(hide_password=False)
        Database(url).upgrade()
        yield Path(name), url


def measured(programme: Programme, plan: Plan) -> list[Figure]:
    """Run a programme; one that breaks off has missed its target."""
    try:
        return programme.measure(plan)
    except Exception as error:
        logging.exception("The programme broke off")
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        return [Figure("the programme", "runs to its end", told, ok=False)]


def run(programme: Programme, kind: str, chosen: argparse.Namespace, server: URL) -> bool:
    """Run a programme on one database, print and store what was found; tell whether all is met."""
    print(f"{programme.TITLE}, {KINDS[kind]}", flush=True)
    began = time.monotonic()
    with installation(kind, server) as (folder, url):
        figures = measured(programme, Plan(chosen.seed, chosen.share, kind, folder, url))
    for figure in figures:
        verdict = "met" if figure.ok else "MISSED"
        print(f"  {verdict:6} {figure.what}: {figure.found} (target: {figure.target})", flush=True)
    Page(chosen.out).store(
        name_of(programme),
        kind,
        figures,
        seed=chosen.seed,
        share=chosen.share,
        seconds=round(time.monotonic() - began),
        machine=machine(server),
    )
    return all(figure.ok for figure in figures)


def main() -> int:
    """Run the chosen programmes; 1 if a target was missed."""
    names = [name_of(programme) for programme in PROGRAMMES]
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--share", type=float, default=1.0)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", nargs="+", default=names, choices=names, metavar="NAME")
    options.add_argument("--out", type=Path, default=HERE.parent / "docs" / "reliability.md")
    chosen = options.parse_args()
    with servers.postgresql() as server:
        met = [
            run(programme, kind, chosen, server)
            for programme in PROGRAMMES
            if name_of(programme) in chosen.only
            for kind in KINDS
        ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
