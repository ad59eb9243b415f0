"""What the events of a run must say: one legal edge after another, and one claim an attempt."""

from itertools import pairwise

from db.models import RunStatus
from db.reads import queries
from db.reads.rows import EventRow
from db.session import Database
from db.writes.state_machine import LEGAL_EDGES


def chain_problems(events: list[EventRow], status: str | None = None) -> list[str]:
    """Return what is wrong with a run's events, oldest first, and with its status if it has one."""
    found = []
    if not events or (events[0].from_status, events[0].to_status) != (None, "queued"):
        found.append("it does not begin queued")
    for last, this in pairwise(events):
        found += _step_problems(last, this)
    if status is not None and events and events[-1].to_status != status:
        found.append(f"it is {status}, and its last event says {events[-1].to_status}")
    return found


def _step_problems(last: EventRow, this: EventRow) -> list[str]:
    source, target = RunStatus(last.to_status), RunStatus(this.to_status)
    raised = target is RunStatus.RUNNING
    found = []
    if this.from_status != source:
        found.append(f"{source} is followed by {this.from_status} -> {target}")
    if target not in LEGAL_EDGES[source]:
        found.append(f"{source} -> {target} is not legal")
    if this.attempt != last.attempt + raised:
        found.append(f"attempt {last.attempt} is followed by {this.attempt} at {target}")
    return found


def run_problems(database: Database, run_id: str) -> list[str]:
    """Return what is wrong with the events and the attempts of a run; nothing if it is gone."""
    with database.read() as session:
        run, events = queries.get_run(session, run_id), queries.events(session, run_id)
    if run is None:
        return []
    numbers = [attempt.number for attempt in run.attempts]
    found = chain_problems(events, run.status.value)
    if sorted(numbers) != list(range(1, run.attempt + 1)):
        found.append(f"its attempts are {numbers}, and it says {run.attempt}")
    return [f"{run_id}: {problem}" for problem in found]
