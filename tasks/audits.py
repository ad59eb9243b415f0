"""A model that somebody else trained, taken in: its weights checked and kept, its audit queued."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from db.models import AUDIT
from db.writes import transitions
from db.writes.transitions import NewRun
from engine.data.datasets.base import datasets
from engine.data.fingerprint import fingerprint
from engine.errors import UserError
from engine.mistakes import error_lines
from engine.scenario import Scenario
from tasks.jobs import require_possible
from tasks.queue.place import owner
from tasks.queue.submit import Submitted, require_names, row_of, send_messages
from tasks.results.request import EvaluationRequest
from tasks.settings import open_database, settings

if TYPE_CHECKING:
    from torch import Tensor

FIELD = "WEIGHTS"
METHOD = "Audited model"
"""What stands in the place of a training method."""
NORMALISATIONS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "none": ((0.0,), (1.0,)),
    "half": ((0.5,), (0.5,)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mnist": ((0.1307,), (0.3081,)),
}
"""Mean and standard deviation that images are often normalised by, a channel each."""
_FLAGS = {
    "model": "--backbone",
    "model.name": "--backbone",
    "data.dataset": "--data",
    "name": "--name",
    "seed": "--seed",
}


@dataclass(frozen=True)
class AuditRequest:
    """What is asked for.

    Attributes:
        weights: The file.
        model: The network: ``backbone`` and its own fields.
        dataset: Whose test images it is shown.
        evaluation: The attack; its ``norm`` and ``epsilon`` are the threat of the audit.
        key: Which set of weights, where the file holds several.
        normalise: A name of `NORMALISATIONS`.
        mean, std: Or a number for each channel.
        name, study: What the row is called, and what study has it.
        called: What the file is called, if that is not its own name.
    """

    weights: Path
    model: Mapping[str, Any]
    dataset: str
    evaluation: EvaluationRequest
    key: str | None = None
    normalise: str | None = None
    mean: tuple[float, ...] = field(default=())
    std: tuple[float, ...] = field(default=())
    name: str = ""
    study: str | None = None
    called: str = ""


def submit_audit(request: AuditRequest, *, actor: str) -> Submitted:
    """Queue an audit.

    Raises:
        UserError: The weights, the network, the data or the attack do not work; nothing was stored.
        DatabaseError: The database did not answer; nothing was stored.
    """
    database, run = open_database(), new_audit(request)
    with database.write() as session:
        run_id, created = transitions.create_run(session, run, actor)
    return Submitted(run_id, created, sent=send_messages(database))


def new_audit(request: AuditRequest) -> NewRun:
    """Return the row of an audit, once its weights are known to fit and are kept here.

    Raises:
        UserError: Something of it does not work; nothing was stored.
    """
    require_names(request.name, request.study)
    scenario = _scenario(request)
    source, folder = scenario.data.source, settings().dataset_dir
    asked = replace(request.evaluation, seed=None)
    require_possible(scenario, asked, np.array(source.test_counts))
    source.ensure(folder)
    weights = found_weights(request, scenario)
    from tasks.results import start_weights  # it loads torch

    scenario = start_weights.starting_from(scenario, start_weights.keep(weights))
    about = {"evaluation": asked.as_json(), "origin": _origin(request)}
    return replace(
        row_of(scenario, request.study),
        name=request.name or request.called or request.weights.name[:200],
        kind=AUDIT,
        method=METHOD,
        num_epochs=1,
        scenario_digest=_digest(scenario, about),
        data_digest=fingerprint(source, folder),
        request=about,
        owner=owner(),
    )


def found_weights(request: AuditRequest, scenario: Scenario) -> dict[str, Tensor]:
    """Return the weights of a request by the names of its network, with their normalisation.

    Raises:
        UserError: They cannot be read, do not fit, or nobody says how images are normalised.
    """
    from engine.models.fit import NORMALISATION, require_fit
    from engine.models.weights_file import chosen, read_states
    from engine.training.start_weights import shape_of

    called = request.called or str(request.weights)
    states = read_states(request.weights, FIELD, called)
    own = chosen(states, request.key, called=called, field=FIELD)
    shape = shape_of(scenario)
    weights = require_fit(
        own, scenario.model, shape, called=f"{FIELD}: {called}", on=scenario.data.dataset
    )
    given = _normalisation(request, shape.channels)
    if given is not None:
        weights |= given
    elif not weights.keys() >= NORMALISATION:
        raise UserError(
            "--normalise: the file does not say how its images were normalised; give "
            f"{', '.join(NORMALISATIONS)}, or --mean and --std"
        )
    return weights


def _normalisation(request: AuditRequest, channels: int) -> dict[str, Tensor] | None:
    import torch

    mean, std = request.mean, request.std
    if request.normalise is not None:
        if mean or std:
            raise UserError("--normalise: it is given beside --mean or --std; leave one out")
        if request.normalise not in NORMALISATIONS:
            known = ", ".join(NORMALISATIONS)
            raise UserError(f"--normalise: {request.normalise!r} is unknown; choose {known}")
        mean, std = NORMALISATIONS[request.normalise]
    if not mean and not std:
        return None
    for flag, values, least in (("--mean", mean, -10.0), ("--std", std, 1e-4)):
        if len(values) not in (1, channels):
            raise UserError(f"{flag}: {len(values)} numbers for {channels} channels; give each one")
        if not all(least <= value <= 10 for value in values):
            raise UserError(f"{flag}: not valid for pixels in [0, 1]; allowed: {least:g} to 10")
    shape = (1, channels, 1, 1)
    pairs = {"mean": mean, "std": std}
    return {
        name: torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1).expand(shape).clone()
        for name, values in pairs.items()
    }


def _scenario(request: AuditRequest) -> Scenario:
    """Return the scenario that an audit stands in for: its data, its network and its threat."""
    if request.dataset not in datasets():
        known = ", ".join(datasets())
        raise UserError(f"--data: {request.dataset!r} is unknown; choose {known}")
    knobs = request.evaluation.as_json()["knobs"]
    threat = {name: knobs[name] for name in ("norm", "epsilon") if name in knobs}
    seed = {} if request.evaluation.seed is None else {"seed": request.evaluation.seed}
    values = {
        "name": request.name,
        **seed,
        "data": {"dataset": request.dataset},
        "threat": threat,
        "model": dict(request.model),
    }
    try:
        return Scenario.model_validate(values)
    except ValidationError as error:
        lines = error_lines(error, Scenario)
        raise UserError(*(f"{_flag(name)}: {text}" for name, text in lines.items())) from None


def _flag(path: str) -> str:
    if path in _FLAGS:
        return _FLAGS[path]
    table, _, name = path.rpartition(".")
    return f"--{name}" if table == "threat" else f"--set {name}" if table == "model" else path


def _origin(request: AuditRequest) -> dict[str, Any]:
    """Return what is known of where the weights come from."""
    told = {
        "file": request.called or request.weights.name,
        "key": request.key,
        "normalise": request.normalise,
        "mean": list(request.mean) or None,
        "std": list(request.std) or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _digest(scenario: Scenario, about: Mapping[str, Any]) -> str:
    """Return a fingerprint that no training has, and that equal audits share."""
    content = {"audit": scenario.digest(), "of": about["evaluation"]}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
