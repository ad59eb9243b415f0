"""The child process of one attempt: the engine, and a recorder. ``python -m tasks.trainer``."""

import logging
import os
import signal
import sys
import threading

import torch

from db import queries, transitions
from db.errors import DatabaseBusyError, DatabaseUnreachableError
from db.models import RunStatus
from db.session import Database
from engine.errors import Diverged, Stopped, UserError
from engine.loop import train
from engine.runtime import pick_device
from engine.scenario import Scenario
from tasks import checkpoints
from tasks.orphan import die_with_parent
from tasks.recorder import Recorder, ReplacedError
from tasks.settings import open_database, settings

EXIT_STOPPED = 75
"""The trainer was asked to stop and did; its supervisor says what the run then is."""

log = logging.getLogger("caat.trainer")


def main() -> int:
    """Train as attempt N of a run: ``python -m tasks.trainer RUN ATTEMPT DEVICE PARENT``."""
    run_id, attempt, device, parent = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    die_with_parent(parent)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.environ.setdefault("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
    database = open_database()
    try:
        _train(database, run_id, attempt, device, stop)
    except Stopped:
        log.info("Stopped as asked")
        return EXIT_STOPPED
    except ReplacedError as error:
        log.warning("%s", error)
    except Diverged as error:
        _fail(database, run_id, attempt, "diverged", str(error))
    except UserError as error:
        _fail(database, run_id, attempt, "input", str(error))
    except (DatabaseBusyError, DatabaseUnreachableError) as error:
        log.error("%s; another attempt goes on from the last epoch", error)
        return 1
    except Exception as error:
        log.exception("The trainer failed")
        _fail(database, run_id, attempt, "error", _one_line(error))
        return 1
    return 0


def _train(
    database: Database, run_id: str, attempt: int, device: str, stop: threading.Event
) -> None:
    with database.read() as session:
        run = queries.get_run(session, run_id)
        rows = queries.checkpoints(session, run_id)
    if run is None:
        raise ReplacedError(f"run {run_id} is gone")
    scenario = Scenario.model_validate(run.scenario)
    resume = checkpoints.newest_good(settings().data_dir, rows)
    log.info("Attempt %d on %s, from epoch %d", attempt, device, resume[0] if resume else 0)
    recorder = Recorder(database, run_id, attempt, scenario.digest(), stop.is_set)
    train(
        scenario,
        recorder,
        data_folder=settings().dataset_dir,
        device=pick_device(device),
        resume=resume,
    )


def _fail(database: Database, run_id: str, attempt: int, reason: str, message: str) -> None:
    log.error("%s", message)
    with database.write() as session:
        transitions.finish(session, run_id, attempt, RunStatus.FAILED, reason, message)


def _one_line(error: Exception) -> str:
    first = str(error).strip().splitlines()
    kind = "Out of memory" if isinstance(error, torch.OutOfMemoryError) else type(error).__name__
    return f"{kind}: {first[0]}" if first else kind


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # to take torch apart is a second that whoever pressed Stop would wait
