r"""The page docs/results/fashion-mnist.md, from the studies that come with the program.

    python benchmarks/results_page.py

Every number and every sentence of the page is computed from the file that `caat study export` wrote
of runs that went through queue, workers and database:

    caat study launch app/studies/presets/paper-fashion.toml
    caat study export "The paper's table: Fashion-MNIST" \
        --out app/studies/results/fashion-mnist.caat
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path = [
    str(ROOT),
    *(entry for entry in sys.path if Path(entry).resolve() != ROOT / "benchmarks"),
]

from app.compare.contest import Rival, contest, in_a_list
from app.compare.measures import MEASURES
from app.compare.study import StudyTable, read_tables
from app.compare.study_ranks import study_ranks
from app.compare.study_text import markdown_table
from app.studies.preset_files import RESULTS
from db import studies
from db.session import Database
from db.settings import sqlite_url
from tasks.results.study_archive import import_studies

PAGE = ROOT / "docs" / "results" / "fashion-mnist.md"
OURS = "caat"
SAID_OF = (
    *("worst_robust_error", "robust_error", "robust_error_nsd"),
    *("worst_natural_error", "natural_error"),
)
"""Of what the first lines speak, most important first."""
CLAIMED = {
    "worst_robust_error": "the least worst-class robust error",
    "robust_error": "the least average robust error",
    "robust_error_nsd": "the most even robust errors of classes",
    "worst_natural_error": "the least worst-class natural error",
    "natural_error": "the least average natural error",
}
"""What the paper's table and text claim of CAAT in each scenario."""


@contextmanager
def opened(archive: Path) -> Iterator[Database]:
    """Give a database that holds the studies of an archive."""
    with tempfile.TemporaryDirectory(prefix="caat-page-") as folder:
        database = Database(sqlite_url(Path(folder) / "studies.db"))
        database.upgrade()
        import_studies(database, archive, "page")
        yield database
        database.dispose()


def page(archive: Path) -> str:
    """Return the whole page."""
    with opened(archive) as database:
        with database.read() as session:
            names = sorted(row.name for row in studies.studies(session))
        found = {name: read_tables(database, name) for name in names}
    parts = ["# Fashion-MNIST: what CAAT is best at, and what not"]
    for tables in found.values():
        parts += [_claims(tables), *(_verdict(table) for table in tables)]
    parts.append(
        "Every word and number here is computed by `python benchmarks/results_page.py` from the "
        "export that comes with the program; `caat up --demo-results` opens the same runs. "
        f"{_protocol(found)}"
    )
    for name, tables in found.items():
        parts += [f"## {name}", *_body(tables)]
    return "\n\n".join(parts) + "\n"


def _protocol(found: dict[str, list[StudyTable]]) -> str:
    first = next(iter(found.values()))[0]
    protocol = first.protocol
    return (
        f"Small runs on two processor cores: {protocol['attack'].upper()}-{protocol['num_steps']}, "
        f"radius {float(protocol['epsilon']):g} ({protocol['norm']}), {protocol['n']:,} test "
        "images; the settings of the file, not tuned for any method. A claim takes three seeds "
        "and an interval; 'beyond chance' is the paired t-test over common seeds at 5 %, with "
        "Holm's correction over the rows of a scenario."
    )


def _claims(tables: Sequence[StudyTable]) -> str:
    """Say in how many scenarios each claim of the paper holds."""
    told = []
    for name, claim in CLAIMED.items():
        found = [_standing(table, name) for table in tables]
        first = sum(standing.place == 1 for standing in found)
        sure = sum(standing.is_ahead_of_all for standing in found)
        told.append(f"{claim} in {first} of {len(found)} scenarios ({sure} beyond chance)")
    return (
        f"Of the paper's claims hold here, for the better of CAAT's two forms: {'; '.join(told)}."
    )


@dataclass(frozen=True)
class Standing:
    """Where the best form of CAAT stands in one scenario by one measure."""

    title: str
    value: float
    place: int
    num_rows: int
    ahead: Sequence[str]
    """Rivals that it is ahead of beyond chance."""
    behind: Sequence[Rival]
    """Rivals that it is behind beyond chance."""
    num_rivals: int

    @property
    def is_ahead_of_all(self) -> bool:
        return len(self.ahead) == self.num_rivals


def _standing(table: StudyTable, name: str) -> Standing:
    rows = table.rows[table.rows[name].notna()].sort_values([name, "title"])
    ours = rows[rows["method"].str.startswith(OURS)]
    own = ours.iloc[0]
    found = contest(rows, name, against=own["title"])
    assert found is not None
    others = [rival for rival in found.rivals if rival.title not in set(ours["title"])]
    return Standing(
        title=own["title"],
        value=own[name],
        place=1 + int((rows[name] < own[name]).sum()),
        num_rows=len(rows),
        ahead=[rival.title for rival in others if rival.differs and rival.difference.value > 0],
        behind=[rival for rival in others if rival.differs and rival.difference.value < 0],
        num_rivals=len(others),
    )


def _verdict(table: StudyTable) -> str:
    """Say in one paragraph where the best variant of CAAT stands in one scenario."""
    told = [_said(table, name) for name in SAID_OF]
    return f"**{table.scenario or 'All runs'}**: {'; '.join(filter(None, told))}."


def _said(table: StudyTable, name: str) -> str:
    found, measure = _standing(table, name), MEASURES[name]
    head = measure.head.lower().replace(", ", " error, ").replace("nsd error, robust", "robust NSD")
    unit = " %" if measure.is_share else ""
    said = (
        f"{head} {measure.scale * found.value:.{1 if unit else 2}f}{unit} ({found.title}, place "
        f"{found.place} of {found.num_rows})"
    )
    if found.behind:
        most = -measure.scale * min(rival.difference.value for rival in found.behind)
        names = in_a_list([rival.title for rival in found.behind])
        said += f", behind {names} by up to {most:.{1 if unit else 2}f}"
    if found.ahead:
        said += f", ahead of {in_a_list(list(found.ahead))}"
    return said if found.behind or found.ahead else f"{said}, not told from any rival"


def _body(tables: Sequence[StudyTable]) -> Iterator[str]:
    for table in tables:
        yield f"### {table.scenario or 'All runs'}"
        yield markdown_table(table)
    ranks = study_ranks(tables, "worst_robust_error")
    if ranks is not None and len(tables) > 1:
        order = ", ".join(f"{row.title} {row.rank:.2f}" for row in ranks.rows.itertuples())
        yield (
            f"Average ranks of worst-class robust error over {ranks.found.n} settings (scenario "
            f"and seed), 1 is best: {order}. Ranks nearer than "
            f"{ranks.found.critical_difference:.2f} are not told apart (Nemenyi, 5 %; seeds of "
            "one scenario are no independent data sets)."
        )
    seeds = in_a_list([str(n) for n in sorted({n for table in tables for n in table.rows["n"]})])
    yield (
        f"Errors in percent, mean ± deviation over the seeds ({seeds} of them); best in bold, in "
        "italics what is not told from it."
    )


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(RESULTS))
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
