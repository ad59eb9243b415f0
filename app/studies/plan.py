"""What the launch of a study would do: which runs, from where, how long, how much."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.new_run.estimate import estimate
from db.reads.throughput import timed_runs
from db.studies import Found
from engine.scenario import Scenario
from engine.study import Cell
from tasks.settings import open_database
from tasks.study import look_up


@dataclass(frozen=True)
class Plan:
    """A launch that has not happened.

    Attributes:
        rows: Seeds of each scenario and method of the file, by where their runs come from.
        seconds: Of the new runs that are known, one after the other.
        stored_bytes: That these will keep.
        unknown: Methods of which no such run has finished here.
    """

    rows: Mapping[tuple[str, str], Mapping[Found, list[int]]]
    seconds: float
    stored_bytes: float
    unknown: Sequence[str]

    def number(self, found: Found) -> int:
        """Return how many runs come from there."""
        return sum(len(row[found]) for row in self.rows.values())


def plan_of(name: str, cells: Sequence[Cell]) -> Plan:
    """Tell what the launch of these cells under this name would do; nothing is stored."""
    rows: dict[tuple[str, str], dict[Found, list[int]]] = {}
    new: dict[str, list[Scenario]] = {}
    for cell, found in zip(cells, look_up(name, cells), strict=True):
        row = rows.setdefault((cell.scenario_name, cell.method_name), {kind: [] for kind in Found})
        row[found].append(cell.seed)
        if found is Found.NEW:
            new.setdefault(cell.scenario_name, []).append(cell.scenario)
    seconds, stored, unknown = 0.0, 0.0, dict[str, None]()
    for alike in new.values():
        with open_database().read() as session:
            earlier = timed_runs(session, alike[0].data.dataset)
        one = estimate(alike, earlier, int(alike[0].training_counts().sum()))
        seconds, stored = seconds + one.seconds, stored + one.stored_bytes
        unknown |= dict.fromkeys(one.unknown)
    return Plan(rows, seconds, stored, list(unknown))
