"""Predictions of another tool, taken in: a row among the runs, of numbers that were made there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from db.evaluations import NewEvaluation, write_evaluation
from db.models import IMPORT, RunStatus
from db.writes import records, transitions
from db.writes.transitions import NewRun
from engine.data.datasets.base import Dataset, datasets
from engine.data.predictions import Predictions, read_predictions
from engine.errors import UserError
from engine.names import visible
from engine.numbers import in_255ths, parse_fraction
from engine.perturbation.norms import BALLS
from engine.types import IntArray
from tasks.processes.host import identity
from tasks.queue.place import owner
from tasks.queue.submit import require_names
from tasks.results.record_test import record_test
from tasks.settings import open_database, settings

METHOD = "Imported predictions"
"""What stands in the place of a training method."""
_LONGEST = 100


@dataclass(frozen=True)
class ImportRequest:
    """What is told of a file of predictions.

    Attributes:
        file: Which.
        by: Who measured: ``tool x 1.2``.
        data: The data; one of ours has names for its classes.
        epsilon, norm, attack: Of the attack; the file names it where there are several.
        name, study: What the row is called, and what study has it.
        called: What the file is called, if that is not its own name.
    """

    file: Path
    by: str
    data: str = ""
    epsilon: str | None = None
    norm: str | None = None
    attack: str = ""
    name: str = ""
    study: str | None = None
    called: str = ""


def take_in(request: ImportRequest, *, actor: str) -> str:
    """Check a file of predictions, store it as a run that has ended, and return its id.

    Raises:
        UserError: The file or what is told of it does not work; nothing was stored.
        DatabaseError: The database did not answer; nothing was stored.
    """
    require_names(request.name, request.study)
    for flag, text in (
        ("--by", request.by),
        ("--data", request.data),
        ("--attack", request.attack),
    ):
        if len(text) > _LONGEST:
            raise UserError(f"{flag}: has {len(text)} characters; allowed: at most {_LONGEST}")
    if not request.by.strip():
        raise UserError("--by: say who measured these numbers, like --by 'tool x 1.2'")
    source = datasets().get(request.data)
    epsilon = _radius(request)
    found = read_predictions(request.file, num_classes=len(source.class_names) if source else None)
    run = _row(request, found, epsilon)
    looks = list(_looks(request, found, epsilon, samples=_samples(found, source)))
    with open_database().write() as session:
        run_id, _ = transitions.create_run(session, run, actor)
        _store(session, run_id, looks, facts=_facts(found, source))
    return run_id


def _store(
    session: Session, run_id: str, looks: list[NewEvaluation], *, facts: dict[str, Any]
) -> None:
    """Write everything in one transaction; nobody sees the run before it has ended."""
    attempt = transitions.claim(session, run_id, identity(), lease_seconds=settings().lease_seconds)
    assert attempt is not None
    records.write_facts(session, run_id, facts)
    size = len(facts["class_names"])
    record_test(session, run_id, attempt, new=looks[0], num_classes=size)
    for look in looks[1:]:
        write_evaluation(session, run_id, attempt, new=look)
    by = looks[0].card["measured_by"]
    told = f"Imported: the numbers were measured by {by}, not here"
    transitions.finish(session, run_id, attempt, status=RunStatus.SUCCEEDED, message=told)


def _radius(request: ImportRequest) -> float | None:
    if request.norm is not None and request.norm not in BALLS:
        raise UserError(f"--norm: {request.norm!r} is unknown; choose {', '.join(BALLS)}")
    if request.epsilon is None:
        if request.norm is not None:
            raise UserError("--norm: it goes with --epsilon; give both or none")
        return None
    found = parse_fraction(request.epsilon)
    if not isinstance(found, float) or not 0 <= found <= 1000:
        raise UserError(f"--epsilon: {request.epsilon!r} is not valid; write a number or 8/255")
    return found


def _samples(found: Predictions, source: Dataset | None) -> IntArray:
    """Return which test images the rows are: those of our data, if their labels say so in order."""
    folder = settings().dataset_dir
    if source is not None and source.is_here(folder):
        _, test = source.load(folder)
        if np.array_equal(test.labels, found.label):
            return test.source
    return np.arange(len(found.label))


def _looks(
    request: ImportRequest, found: Predictions, epsilon: float | None, *, samples: IntArray
) -> Iterator[NewEvaluation]:
    for name, attacked in found.attacked.items():
        card = _card(request, visible(name) or request.attack or "attack", epsilon, n=len(attacked))
        said = {
            "sample": samples,
            "label": found.label,
            "clean": found.clean,
            "attacked": attacked,
        }
        label = f"{card['label']}, measured by {request.by}"[:200]
        yield NewEvaluation(label, "attack", card["n"], card, outcomes=said)


def _card(request: ImportRequest, attack: str, epsilon: float | None, *, n: int) -> dict[str, Any]:
    """Return what is known of the protocol; nobody here knows the rest."""
    ball = {} if epsilon is None else {"epsilon": epsilon, "norm": request.norm or "linf"}
    return {
        "method": METHOD,
        "attack": attack,
        "label": f"{attack} ({ball['norm']} {in_255ths(epsilon)})" if epsilon else attack,
        **ball,
        "split": "test",
        "n": n,
        "measured_by": request.by,
        "trained_norm": None,
        "trained_epsilon": None,
        "checkpoint": f"imported, measured by {request.by}",
    }


def _facts(found: Predictions, source: Dataset | None) -> dict[str, Any]:
    if source is not None:
        names = list(source.class_names)
    else:
        names = [str(index) for index in range(int(found.label.max()) + 1)]
    return {"class_names": names, "num_test": len(found.label)}


def _row(request: ImportRequest, found: Predictions, epsilon: float | None) -> NewRun:
    called = request.called or request.file.name
    content = hashlib.sha256(found.label.tobytes() + found.clean.tobytes())
    for name, attacked in found.attacked.items():
        content.update(name.encode() + attacked.tobytes())
    about = {"file": called, "by": request.by, "content": content.hexdigest()}
    threat = {} if epsilon is None else {"norm": request.norm or "linf", "epsilon": epsilon}
    dataset = request.data or "not told"
    scenario = {
        "name": request.name,
        "seed": 0,
        "data": {"dataset": dataset},
        "threat": threat,
        "imported": about,
    }
    return NewRun(
        name=request.name or called[:200],
        scenario=scenario,
        scenario_digest=hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest(),
        method=METHOD,
        dataset=dataset[:64],
        seed=0,
        num_epochs=1,
        study=request.study,
        kind=IMPORT,
        request=about,
        owner=owner(),
    )
