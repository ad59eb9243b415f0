"""An audit as one attempt of it: a model that was trained elsewhere is attacked, batch by batch.

What it finds is stored like the test of a run. Another attempt takes up what is stored.
"""

import logging
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from db import parts as kept
from db.evaluations import write_evaluation
from db.reads.rows import RunDetail
from db.session import Database
from db.writes import records, transitions
from engine.evaluation.error_names import NATURAL_ERROR
from engine.evaluation.statistics import errors_of
from engine.runtime import configure, pick_device
from engine.scenario import NUMERICS, Scenario
from engine.training.build import initial_model
from tasks.folder import make
from tasks.recording import checkpoints
from tasks.results import start_weights
from tasks.results.evaluate import Looks
from tasks.results.job import Job, facts_of, taken_up, tell_facts
from tasks.results.record_test import record_test
from tasks.results.request import EvaluationRequest
from tasks.results.trained import AS_GIVEN, Trained
from tasks.settings import settings

GUESSING = 0.95
"""Of the errors that guessing makes; a model with as many sees other images than it learned."""
log = logging.getLogger("caat.trainer")


def work(
    database: Database,
    row: RunDetail,
    attempt: int,
    *,
    device: str,
    should_stop: Callable[[], bool],
) -> None:
    """Attack the model that an audit is of, and store what it says of every image.

    Args:
        database: Where the run is.
        row: The run.
        attempt: Which of its attempts this is.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        should_stop: Asked before each batch.

    Raises:
        Stopped: Somebody asked it to stop; what was found is stored.
        ReplacedError: Another attempt has the run.
        UserError: The weights or the data are not here, or what is asked for does not work.
    """
    job = Job(database, row, attempt, should_stop=should_stop)
    log.info("Attempt %d on %s: audit", attempt, device)
    audited = _audited(row, device)
    parts = taken_up(job)
    request = EvaluationRequest(**(row.request or {})["evaluation"])
    looks = Looks(audited, request, check=parts.check, parts=parts)
    parts.expect(looks.num_looks(), looks.num_images())
    tell_facts(job, _facts(audited, parts.num_images))
    _keep_checkpoint(job, audited)
    found = looks.found()
    first = found.pop("pixel")
    names = audited.data.class_names

    def write(session: Session) -> None:
        kept.drop_parts(session, job.id)
        record_test(session, job.id, attempt, new=first, num_classes=len(names))
        for new in found.values():
            write_evaluation(session, job.id, attempt, new=new)
        doubt = _doubt(first.outcomes, len(names))
        if doubt:
            transitions.remark(session, job.id, attempt, reason="guessing", message=doubt)
        job.succeed(session, doubt or f"Audited: {first.name}")

    job.write(write)


def _audited(row: RunDetail, device: str) -> Trained:
    scenario = Scenario.model_validate(row.scenario)
    weights = start_weights.found(scenario)
    assert weights is not None
    place = pick_device(device)
    configure(place, scenario.training.num_threads)
    data = scenario.prepared(settings().dataset_dir)
    model = initial_model(scenario, data)
    model.load_state_dict(weights)
    return Trained(row, scenario, data, model.to(place), AS_GIVEN, place)


def _facts(audited: Trained, num_images: int) -> dict[str, Any]:
    """Return what a run tells at its start, as far as there is such a thing without training."""
    return facts_of(audited) | {
        "class_names": list(audited.data.class_names),
        "num_test": len(audited.data.test),
        "num_parameters": sum(value.numel() for value in audited.model.parameters()),
        "steps_per_epoch": num_images,
        "data_digest": audited.data.digest(),
        "start_weights": audited.scenario.training.start_from,
        "numerics": NUMERICS,
    }


def _keep_checkpoint(job: Job, audited: Trained) -> None:
    """Keep the model as a run's, so that it is evaluated, exported and started from like one."""
    state = {f"model.{name}": value for name, value in audited.model.state_dict().items()}
    folder = settings().run_dir(job.id)
    make(folder)
    digest = audited.scenario.digest()
    file = checkpoints.write(folder, 1, job.attempt, state=state, scenario_digest=digest)
    path = str(file.path.relative_to(settings().data_dir))
    about = {"epoch": 1, "path": path, "size": file.size, "sha256": file.sha256}
    job.write(
        lambda session: records.write_checkpoint(session, job.id, job.attempt, **about)  # type: ignore[arg-type]
    )
    checkpoints.delete_unreferenced(folder, job.attempt, [file.path.name])


def _doubt(said: Any, num_classes: int) -> str:
    """Say that a model is no better than guessing, which an audit more often is to blame for."""
    wrong = errors_of(said["label"], said["clean"], said["attacked"])[NATURAL_ERROR].mean()
    if wrong < GUESSING * (1 - 1 / num_classes):
        return ""
    return (
        f"The model errs on {wrong:.1%} of the images without any attack, like guessing: are the "
        "normalisation and the order of the classes those that it was trained with?"
    )
