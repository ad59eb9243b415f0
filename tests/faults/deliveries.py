"""Every queued run's message is delivered three times, to four workers at once.

Real broker, real Celery workers, real claims; only the trainer is a stand-in that notes its start,
so that a run takes milliseconds. The three messages of a run follow each other, so that idle
workers ask for the same row at the same time. The first run is slow, twelve seconds, while its
other messages come to idle workers.
"""

import time
from collections import Counter

from sqlalchemy import select

from db.models import Attempt, RunStatus
from db.reads import queries
from tests.faults.frame import Figure, Plan, opened
from tests.real import stand_in
from tests.real.studio import Studio

TITLE = "Messages that come more than once"

FULL, DELIVERIES, WORKERS, SLOW_SECONDS = 1000, 3, 4, 12


def measure(plan: Plan) -> list[Figure]:
    """Queue, deliver, and count the starts."""
    number = plan.count(FULL)
    with opened(plan, **stand_in.SETTINGS) as studio:
        stand_in.put_in(studio)
        studio.start_broker()
        slow, *quick = (studio.queue() for _ in range(number + 1))
        stand_in.hold(studio, slow)
        studio.send_by_celery([run_id for run_id in (slow, *quick) for _ in range(DELIVERIES)])
        for _ in range(WORKERS):
            studio.start_worker()
        studio.wait_for(lambda: slow in stand_in.started(studio), "the slow run")
        time.sleep(SLOW_SECONDS)
        stand_in.let_go(studio, slow)
        studio.wait_for(lambda: _num_ended(studio) == number + 1, "the last run", seconds=600)
        studio.wait_for(lambda: studio.num_messages() == 0, "the last message", seconds=600)
        claims, starts = _claims(studio), stand_in.started(studio)
    workers = Counter(worker for workers in claims.values() for worker in workers)
    return [
        Figure(
            f"claims of {number} runs, {DELIVERIES * number} messages, {WORKERS} workers",
            f"{number}, none double",
            f"{sum(len(claims[run_id]) for run_id in quick)} by {len(workers)} workers, "
            f"{sum(len(claims[run_id]) > 1 for run_id in quick)} double",
            all(len(claims[run_id]) == 1 for run_id in quick),
        ),
        Figure(
            "trainers that they started",
            f"{number}",
            f"{sum(len(starts[run_id]) for run_id in quick)}",
            all(len(starts[run_id]) == 1 for run_id in quick),
        ),
        Figure(
            f"starts of a run of {SLOW_SECONDS} s, its message delivered {DELIVERIES} times",
            "1",
            f"{len(starts[slow])}",
            len(starts[slow]) == len(claims[slow]) == 1,
        ),
    ]


def _num_ended(studio: Studio) -> int:
    with studio.database.read() as session:
        return len(queries.runs_with_status(session, RunStatus.FAILED))


def _claims(studio: Studio) -> dict[str, list[str]]:
    """Return the workers that claimed each run."""
    found: dict[str, list[str]] = {}
    with studio.database.read() as session:
        for run_id, worker in session.execute(select(Attempt.run_id, Attempt.worker_id)):
            found.setdefault(run_id, []).append(worker)
    return found
