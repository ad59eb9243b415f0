"""Four sessions launch, stop, resume and delete at random, and real trainers are stopped.

First one after the other, with a worker's steps in between, as a Hypothesis state machine; then in
four threads at once beside two workers and a reconciler, all on the same few runs.
"""

import random
import statistics
import threading
import time

from db.reads import queries
from db.session import Database
from db.writes import transitions
from tasks import commands
from tasks.processes.host import host_name
from tasks.queue.submit import submit
from tasks.settings import open_database, settings
from tasks.worker.supervise import run_attempt
from tests.faults.apart import apart
from tests.faults.chains import run_problems
from tests.faults.frame import Figure, Plan, opened
from tests.faults.reports import worker
from tests.faults.sessions import SCENARIO, walk
from tests.faults.storm import Storm

TITLE = "Four sessions at once"
STOP_SECONDS = 3.0


def measure(plan: Plan) -> list[Figure]:
    """Stop real trainers while no other run is there; then walk, race and cancel."""
    stops = apart(plan, _stops)
    return apart(plan, _measure) + stops


def _measure(plan: Plan) -> list[Figure]:
    database = open_database()
    steps = walk(plan.count(5_000), plan.seed)
    storm = Storm(database, plan.seed)
    storm.rage(plan.count(5_000))
    said = "; ".join(storm.problems[:5]) or "0 illegal, 0 claims of one attempt twice, 0 errors"
    return [
        Figure(
            "random commands, one after the other, against a table of what must follow",
            "every one of 5,000 steps as the table says",
            f"{steps.total()} steps, all as the table says",
            ok=True,
        ),
        Figure(
            "the same by four threads at once, with two workers and a reconciler",
            "5,000 commands, 0 illegal edges, 0 double claims, 0 errors",
            f"{storm.commands} commands, {storm.num_runs} runs, {len(storm.claims)} claims, "
            f"{storm.num_events} events: {said}",
            ok=not storm.problems and storm.num_events > 0,
        ),
        _cancelled_before(plan, database),
    ]


# -- cancel before the start


def _cancelled_before(plan: Plan, database: Database) -> Figure:
    """Stop runs before a worker comes, perhaps delete them too, and in the moment it comes."""
    wanted = plan.count(100)
    never = sum(_never_trains(database, deleted=number % 2 == 1) for number in range(wanted))
    either = sum(_one_wins(database) for _ in range(wanted))
    return Figure(
        "stopped before it started; stopped in the moment of the claim",
        "100 of 100 never train; 100 of 100 are either cancelled or told to stop",
        f"{never} of {wanted}; {either} of {wanted}",
        ok=never == either == wanted,
    )


def _never_trains(database: Database, *, deleted: bool) -> bool:
    """Stop a queued run, perhaps delete it, and then let its message reach a worker."""
    run_id = submit(SCENARIO, actor="fault").run_id
    commands.stop(run_id, "fault")
    if deleted:
        commands.delete(run_id, "fault")
    began = run_attempt(database, run_id)
    with database.read() as session:
        run = queries.get_run(session, run_id)
    if deleted:
        return not began and run is None and not settings().run_dir(run_id).exists()
    return not began and run is not None and (run.status, run.attempt) == ("cancelled", 0)


def _one_wins(database: Database) -> bool:
    run_id = submit(SCENARIO, actor="fault").run_id
    barrier = threading.Barrier(2)

    def claim() -> None:
        barrier.wait()
        with database.write() as session:
            transitions.claim(session, run_id, worker(1, host_name()), lease_seconds=60)

    claimer = threading.Thread(target=claim)
    claimer.start()
    barrier.wait()
    commands.stop(run_id, "fault")
    claimer.join()
    with database.read() as session:
        run = queries.get_run(session, run_id)
    ends = (("cancelled", 0), ("stopping", 1))
    lawful = run is not None and (run.status.value, run.attempt) in ends
    return lawful and not run_problems(database, run_id)


# -- real trainers


def _stops(plan: Plan) -> list[Figure]:
    """Stop real trainers, each at a random moment, with the default heartbeat."""
    rng, took = random.Random(plan.seed), []
    with opened(plan, heartbeat_seconds=1) as studio:
        studio.environment.pop("CAAT_BROKER_URL")
        studio.start_broker()
        studio.start_worker()
        for _ in range(plan.count(20, least=2)):
            run_id = studio.queue("training.epochs=1000", "training.record_every=1000")
            studio.wait_for_epoch(run_id, 1)
            time.sleep(rng.random())
            began = time.monotonic()
            commands.stop(run_id, "fault")
            studio.wait_for_status(run_id, "cancelled")
            took.append(time.monotonic() - began)
    took.sort()
    median, p95 = (
        statistics.median_low(took),
        took[-(len(took) // 20) - 1],
    )  # of 20 the last but one
    return [
        Figure(
            "Stop to cancelled, real trainers, p95",
            f"at most {STOP_SECONDS:g} s",
            f"{p95:.2f} s of {len(took)} (median {median:.2f} s)",
            ok=p95 <= STOP_SECONDS,
            timed=True,
        )
    ]
