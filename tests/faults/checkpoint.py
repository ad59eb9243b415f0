"""Every call of a checkpoint's save is broken in turn by a kill, a full disk and a failing one.

The calls are create, write (half of the bytes arrive), flush, fsync, rename, fsync of the folder,
both sides of the commit of its rows, and the delete of what fell out; the saves a first one, one
that lets an old checkpoint go, and one that a second attempt repeats. Then the newest file is
damaged, and a save is watched by the kernel.
"""

import logging
import random
from dataclasses import dataclass
from pathlib import Path

import torch

from db.errors import DatabaseError
from db.models import USER
from db.reads import queries
from db.reads.rows import CheckpointRow
from db.session import Database
from db.writes import transitions
from tasks.recording import checkpoints
from tasks.recording.recorder import Recorder
from tasks.settings import settings
from tests.faults.apart import apart, ended, forked
from tests.faults.breaker import FAULTS, Breaker
from tests.faults.frame import Figure, Plan
from tests.faults.reports import claimed, epoch_report, queued_run, state_of, worker
from tests.faults.watched import order_figure

TITLE = "A save that breaks"
NOT_REACHED, SURVIVED, RAISED = 0, 3, 4
"""How a child that saves may end, if it is not killed."""


@dataclass(frozen=True)
class Situation:
    """What was saved before the save that breaks.

    Attributes:
        name: In words.
        by_others: Epochs saved by the attempt before.
        before: Epochs saved by the same attempt.
        epoch: The save.
    """

    name: str
    by_others: tuple[int, ...]
    before: tuple[int, ...]
    epoch: int

    @property
    def newest(self) -> int:
        """The newest epoch before the save; 0 if there is none."""
        return max((0, *self.by_others, *self.before))


SITUATIONS = (
    Situation("a save that lets one go", (), (1, 2), 3),
    Situation("a first save", (), (), 1),
    Situation("a save repeated", (1, 2), (), 2),
)


def measure(plan: Plan) -> list[Figure]:
    """Break every call, damage the newest file, and look at the order of calls."""
    return apart(plan, _measure)


def _measure(plan: Plan) -> list[Figure]:
    torch.set_num_threads(1)
    logging.disable()
    calls = {situation: _calls(plan, situation) for situation in SITUATIONS}
    every = [
        (situation, fault, at)
        for situation, names in calls.items()
        for fault in FAULTS
        for at in range(1, len(names) + 1)
    ]
    chosen = random.Random(plan.seed).sample(every, plan.count(len(every), least=9))
    found = [
        f"{situation.name}, {fault} at {calls[situation][at - 1]}: {problem}"
        for situation, fault, at in chosen
        for problem in _problems(plan, situation, Breaker(fault, at))
    ]
    said = "; ".join(found[:5]) or "0 unreadable, 0 files left over"
    return [
        Figure(
            "every call of a save broken by KILL, ENOSPC and EIO",
            "0 unreadable newest checkpoints, 0 files that no row names after the next epoch",
            f"{len(chosen)} of {len(every)} faults: {said}",
            ok=not found,
        ),
        *_damage(plan),
        order_figure(plan, lambda run_id, attempt: _save(plan, run_id, attempt, (4,), None)),
    ]


# -- one save that breaks


def _save(
    plan: Plan, run_id: str, attempt: int, epochs: tuple[int, ...], breaker: Breaker | None
) -> int:
    """Save epochs, the last one with a breaker, and return how it ended."""
    database = Database(plan.url)
    recorder = Recorder(
        database, run_id, attempt, scenario_digest="digest", should_stop=lambda: False
    )
    for epoch in epochs[:-1]:
        recorder.on_epoch(epoch_report(epoch))
    if breaker is not None:
        breaker.arm()
    try:
        recorder.on_epoch(epoch_report(epochs[-1]))
    except (OSError, DatabaseError):
        return RAISED
    reached = breaker is not None and len(breaker.calls) >= breaker.at > 0
    return SURVIVED if reached else NOT_REACHED


def _calls(plan: Plan, situation: Situation) -> list[str]:
    """Return the names of all calls of the save, unbroken."""
    run_id, attempt = _prepared(plan, situation)
    note = plan.folder / "calls.txt"

    def save() -> int:
        breaker = Breaker("KILL", 0)
        written = note.open("w")
        code = _save(plan, run_id, attempt, (*situation.before, situation.epoch), breaker)
        with written:
            written.write("\n".join(breaker.calls))
        return code

    if ended(forked(save)) != NOT_REACHED:
        raise RuntimeError(f"{situation.name}: an unbroken save failed")
    return note.read_text().split()


def _prepared(plan: Plan, situation: Situation) -> tuple[str, int]:
    """Return a new run and the attempt that is to save, the attempt before having done its part."""
    database = Database(plan.url)
    run_id = queued_run(database)
    attempt = claimed(database, run_id, worker(1))
    if situation.by_others:
        recorder = Recorder(
            database, run_id, attempt, scenario_digest="digest", should_stop=lambda: False
        )
        for epoch in situation.by_others:
            recorder.on_epoch(epoch_report(epoch))
        attempt = _replaced(database, run_id, attempt)
    database.dispose()
    return run_id, attempt


def _replaced(database: Database, run_id: str, attempt: int) -> int:
    """Take the run from its attempt and return the next one's number."""
    with database.write() as session:
        transitions.interrupt(session, run_id, attempt, reason="lost", message="fault")
        transitions.requeue(session, run_id, "fault", reason=USER)
    return claimed(database, run_id, worker(attempt + 1))


def _problems(plan: Plan, situation: Situation, breaker: Breaker) -> list[str]:
    """Break one call and return what is wrong with what is there then, and after the next epoch."""
    run_id, attempt = _prepared(plan, situation)
    epochs = (*situation.before, situation.epoch)
    code = ended(forked(lambda: _save(plan, run_id, attempt, epochs, breaker)))
    found = []
    if code not in (-9, SURVIVED, RAISED) or (code == -9) != (breaker.fault == "KILL"):
        found.append(f"it ended with code {code}")
    found += _unreadable(plan, run_id, {situation.newest, situation.epoch})
    database = Database(plan.url)
    attempt = _replaced(database, run_id, attempt)
    database.dispose()
    following = (situation.epoch, situation.epoch + 1)
    code = ended(forked(lambda: _save(plan, run_id, attempt, following, None)))
    if code != NOT_REACHED:
        found.append(f"the next attempt ended with code {code}")
    return found + _unreadable(plan, run_id, {situation.epoch + 1}) + _left_over(plan, run_id)


def _rows(plan: Plan, run_id: str) -> tuple[int, list[CheckpointRow]]:
    """Return the epoch that the run is said to have reached, and its checkpoints."""
    database = Database(plan.url)
    with database.read() as session:
        run, rows = queries.get_run(session, run_id), queries.checkpoints(session, run_id)
    database.dispose()
    return (run.epoch if run else -1), rows


def _unreadable(plan: Plan, run_id: str, allowed: set[int]) -> list[str]:
    """Return what is wrong if the newest checkpoint is not a whole one of the allowed epochs."""
    reached, rows = _rows(plan, run_id)
    epoch = rows[0].epoch if rows else 0
    if epoch not in allowed or epoch != reached:
        return [f"the newest checkpoint is of epoch {epoch}, the run is at {reached}"]
    found = checkpoints.newest_good(plan.folder, rows)
    if (found[0] if found else 0) != epoch:
        return [f"the checkpoint of epoch {epoch} cannot be read"]
    if found and not _is_whole(found):
        return [f"the checkpoint of epoch {epoch} is not what was saved"]
    return []


def _is_whole(found: tuple[int, dict[str, torch.Tensor]]) -> bool:
    expected = state_of(found[0])
    return found[1].keys() == expected.keys() and all(
        torch.equal(value, expected[name]) for name, value in found[1].items()
    )


def _left_over(plan: Plan, run_id: str) -> list[str]:
    """Return the files of a run that no row names, and the rows without a file."""
    named = {Path(row.path).name for row in _rows(plan, run_id)[1]}
    there = {path.name for path in settings().run_dir(run_id).iterdir()}
    return [f"{name} is not both a file and a row" for name in sorted(named ^ there)]


# -- damage


def _damage(plan: Plan) -> list[Figure]:
    """Flip single bits, and cut, the newest of two checkpoints."""
    run_id, _ = _prepared(plan, Situation("two saves", (1, 2), (), 3))
    _, rows = _rows(plan, run_id)
    file, rng = plan.folder / rows[0].path, random.Random(plan.seed)
    whole = file.read_bytes()
    flips, cuts = plan.count(200, least=20), plan.count(50, least=10)
    missed = 0
    for _ in range(flips):
        at, bit = rng.randrange(len(whole)), 1 << rng.randrange(8)
        file.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        missed += not _goes_back(plan, rows)
    for place in range(cuts):
        file.write_bytes(whole[: rng.randrange(len(whole)) if place else 0])
        missed += not _goes_back(plan, rows)
    file.unlink()
    missed += not _goes_back(plan, rows)
    return [
        Figure(
            "a bit flipped at a random place of the newest checkpoint; the file cut; gone",
            "found every time, and the one before is used",
            f"{flips} flips, {cuts} cuts, 1 without the file: {missed} not found",
            ok=missed == 0,
        )
    ]


def _goes_back(plan: Plan, rows: list[CheckpointRow]) -> bool:
    found = checkpoints.newest_good(plan.folder, rows)
    return found is not None and found[0] == rows[1].epoch and _is_whole(found)
