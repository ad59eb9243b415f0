"""The child process of one attempt: a training and its recorder, or a job about a run.

Started as ``python -m tasks.trainer``.
"""

import json
import logging
import os
import select
import signal
import sys
from collections.abc import Callable
from importlib import import_module

from db.errors import DatabaseBusyError, DatabaseUnreachableError, SettingsError
from db.models import AUDIT, RunStatus
from db.reads import queries
from db.reads.rows import CheckpointRow, RunDetail
from db.session import Database
from db.writes import transitions
from engine.data.fingerprint import require_unchanged
from engine.errors import Diverged, Stopped, UserError
from engine.methods.base import METHODS
from engine.runtime import load_torch, pick_device
from engine.scenario import Scenario
from engine.training.loop import train
from tasks.processes.database_retry import retry_transient
from tasks.processes.orphan import die_with_parent
from tasks.processes.process import apply_shared_umask, init_process
from tasks.processes.secrecy import hide_in_logs, hide_in_tracebacks, without_secrets
from tasks.recording import causes, checkpoints
from tasks.recording.lacking import LACKS, LackingError, require_known
from tasks.recording.recorder import RETRY_SECONDS, Recorder, ReplacedError, Start
from tasks.results import start_weights
from tasks.settings import open_database, settings
from tasks.stored_scenario import stored_scenario

EXIT_STOPPED = 75
"""The trainer was asked to stop and did; its supervisor says what the run then is."""

log = logging.getLogger("caat.trainer")


class StopRequest:
    """A request to stop: heeded before the next step, and at once before the first one.

    Until then nothing is trained that could be lost, and reading data or loading a library may take
    longer than anybody who stops a run or a worker wants to wait.
    """

    def __init__(self) -> None:
        self._is_training = False
        self._is_received = False

    def receive(self) -> None:
        """Note the request; while nothing is trained, end this process."""
        self._is_received = True
        if not self._is_training:
            os._exit(EXIT_STOPPED)

    def is_heeded(self) -> bool:
        """Tell before a step whether to stop; whoever asks it is training."""
        self._is_training = True
        return self._is_received


def main() -> int:
    """Train as attempt N of a run: ``python -m tasks.trainer RUN ATTEMPT DEVICE PARENT``."""
    run_id, attempt, device, parent = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    die_with_parent(parent)
    request = StopRequest()
    signal.signal(signal.SIGTERM, lambda *_: request.receive())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    hide_in_logs()
    os.environ.setdefault("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
    database = retry_transient(open_database, RETRY_SECONDS)
    try:
        _train(database, run_id, attempt, device=device, should_stop=request.is_heeded)
    except Stopped:
        log.info("Stopped as asked")
        return EXIT_STOPPED
    except ReplacedError as error:
        log.warning("%s", error)
    except LackingError as error:
        _wait_for_person(database, run_id, attempt, reason=LACKS, message=str(error))
    except (Diverged, UserError) as error:
        reason = "diverged" if isinstance(error, Diverged) else "input"
        _fail(database, run_id, attempt, reason=reason, message=str(error))
    except (DatabaseBusyError, DatabaseUnreachableError) as error:
        log.error("%s; another attempt goes on from the last epoch", error)
        return 1
    except Exception as error:
        log.exception("The trainer failed")
        if not _interrupted(database, run_id, attempt, error=error):
            _fail(database, run_id, attempt, reason="error", message=_one_line(error))
        return 1
    return 0


def _train(
    database: Database,
    run_id: str,
    attempt: int,
    *,
    device: str,
    should_stop: Callable[[], bool],
) -> None:
    run, rows = retry_transient(lambda: _stored(database, run_id), RETRY_SECONDS)
    if run is None:
        raise ReplacedError(f"run {run_id} is gone")
    require_known(run.scenario, run.facts)
    if run.is_job:
        from tasks.results import job  # it loads what no training needs

        return job.work(database, run, attempt, device=device, should_stop=should_stop)
    scenario = stored_scenario(run)
    _require_its_data(scenario, run.data_digest)
    if run.kind == AUDIT:
        from tasks.results import audit

        return audit.work(database, run, attempt, device=device, should_stop=should_stop)
    search = checkpoints.search(settings().data_dir, rows)
    resume = search.found
    start = Start(resume[0], run.facts) if resume else Start()
    recorder = Recorder(
        database,
        run_id,
        attempt,
        scenario_digest=scenario.digest(),
        should_stop=should_stop,
        start=start,
    )
    log.info("Attempt %d on %s, from epoch %d", attempt, device, start.epoch)
    for reason, message in search.remarks():
        log.warning("%s", message)
        recorder.remark(reason, message)
    train(
        scenario,
        recorder,
        data_folder=settings().dataset_dir,
        device=pick_device(device),
        resume=resume,
        start=None if resume else start_weights.found(scenario),
    )
    return None


def _require_its_data(scenario: Scenario, digest: str | None) -> None:
    """Refuse a dataset that is not the one of the launch; another machine may have to fetch it.

    Raises:
        UserError: It is missing or has changed.
    """
    source, folder = scenario.data.source, settings().dataset_dir
    try:
        source.ensure(folder)
    except UserError as error:
        raise UserError(f"Dataset {source.name} is missing: {error}") from error
    if digest is not None:  # launched before fingerprints were taken
        require_unchanged(source, folder, digest)


def _stored(database: Database, run_id: str) -> tuple[RunDetail | None, list[CheckpointRow]]:
    with database.read() as session:
        return queries.get_run(session, run_id), queries.checkpoints(session, run_id)


def _interrupted(database: Database, run_id: str, attempt: int, *, error: Exception) -> bool:
    """Interrupt the run if what it lacks is room or memory: nothing is wrong with the run itself.

    It cannot be said in a database without room either; the supervisor then finds the run lost.
    """
    full = causes.is_disk_full(error)
    if not full and not causes.is_out_of_memory(error):
        return False

    def interrupt() -> None:
        with database.write() as session:
            rows = queries.checkpoints(session, run_id)
            run = queries.get_run(session, run_id)
            assert run is not None
            if full:
                needed = getattr(error, "needed", 0)
                epoch = rows[0].epoch if rows else None
                reason = causes.DISK_FULL
                folder = settings().data_dir
                message = causes.disk_full(folder, epoch, needed, is_job=run.is_job)
            else:
                reason = causes.OOM
                message = causes.out_of_memory("no more could be had", run)
            transitions.interrupt(session, run_id, attempt, reason=reason, message=message)

    retry_transient(interrupt, RETRY_SECONDS)
    return True


def _wait_for_person(
    database: Database, run_id: str, attempt: int, *, reason: str, message: str
) -> None:
    """Interrupt the run, which goes on once somebody has mended what it lacks here."""
    told = without_secrets(message)  # it may be a plug-in's
    log.error("%s", told)

    def interrupt() -> None:
        with database.write() as session:
            transitions.interrupt(session, run_id, attempt, reason=reason, message=told)

    retry_transient(interrupt, RETRY_SECONDS)


def _fail(database: Database, run_id: str, attempt: int, *, reason: str, message: str) -> None:
    told = without_secrets(message)  # it may be a library's
    log.error("%s", told)

    def fail() -> None:
        with database.write() as session:
            transitions.finish(
                session, run_id, attempt, status=RunStatus.FAILED, reason=reason, message=told
            )

    retry_transient(fail, RETRY_SECONDS)


def _one_line(error: Exception) -> str:
    first = str(error).strip().splitlines()
    kind = type(error).__name__
    return f"{kind}: {first[0]}" if first else kind


def load() -> None:
    """Load what a run needs until its first step."""
    METHODS.all()
    import_module("db.snapshot")
    load_torch()


def _wait_for_run(minutes: float) -> None:
    """Load what a run needs, wait for one, and take its words and its log for this process's own.

    See `tasks.worker.spare`, which speaks to it. Without a run in time it ends.
    """
    die_with_parent(os.getppid())
    load()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    asked, _, _ = select.select([sys.stdin], [], [], 60 * minutes)
    line = sys.stdin.readline() if asked else ""
    if not line:
        os._exit(0)
    told = json.loads(line)
    sys.stdout.write("taken\n")
    sys.stdout.flush()
    log = os.open(told["log"], os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for ours, standard in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(ours, standard)
    os.close(log)
    os.close(nothing)
    sys.argv[1:] = told["words"]


def _checked_main() -> int:
    """Train; what is wrong with the command or the settings is one line."""
    if len(sys.argv) == 3 and sys.argv[1] == "--warm":
        _wait_for_run(float(sys.argv[2]))
    words = sys.argv[1:]
    try:
        settings()
        if len(words) != 4 or not (words[1].isdecimal() and words[3].isdecimal()):
            raise UserError("a worker starts it: python -m tasks.trainer RUN ATTEMPT DEVICE PARENT")
    except (SettingsError, UserError) as error:
        sys.stderr.write(f"caat: {error}\n")
        return 2
    return main()


if __name__ == "__main__":
    init_process()
    apply_shared_umask()
    hide_in_tracebacks()
    code = _checked_main()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # to take torch apart is a second that whoever pressed Stop would wait
