"""The weights that a run starts from: found at the launch, kept here, and loaded by its trainer.

They are kept under the SHA-256 of what they hold, so a run goes on when the run or the file that
they came from is gone, and equal weights are kept once.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from db.atomic_write import atomic_write
from db.modes import file_mode
from db.reads import queries
from engine.errors import UserError
from engine.scenario import Scenario
from engine.training.selection import deployed
from engine.training.start_weights import (
    FIELD,
    read_weights,
    require_fit,
    under_own_names,
    weights_digest,
)
from tasks import folder
from tasks.recording.checkpoints import search
from tasks.results.trained import require_trained
from tasks.settings import open_database, settings

if TYPE_CHECKING:
    from torch import Tensor

_RUN, _DIGEST = re.compile(r"[0-9a-f]{1,32}"), re.compile(r"[0-9a-f]{64}")


def with_kept_weights(scenario: Scenario) -> Scenario:
    """Keep the weights that a scenario starts from; return it with their SHA-256 in their place.

    Raises:
        UserError: There are none, they cannot be read here, or they do not fit.
    """
    weights = found(scenario)
    if weights is None:
        return scenario
    return starting_from(scenario, keep(weights))


def keep(weights: dict[str, Tensor]) -> str:
    """Keep weights by what they hold, and return their SHA-256.

    Raises:
        UserError: There is no room for them.
    """
    digest = weights_digest(weights)
    if not _file(digest).exists():
        _write(_file(digest), weights)
    return digest


def starting_from(scenario: Scenario, digest: str) -> Scenario:
    """Return the scenario with weights by their SHA-256 to start from."""
    training = scenario.training.model_copy(update={"start_from": digest})
    return scenario.model_copy(update={"training": training})


def found(scenario: Scenario) -> dict[str, Tensor] | None:
    """Return the weights that a scenario starts from, or None: it starts from its seed.

    Raises:
        UserError: There are none, they cannot be read here, or they do not fit.
    """
    asked = scenario.training.start_from
    if asked is None:
        return None
    if _DIGEST.fullmatch(asked):
        weights, called = kept(asked), f"what is kept as {asked[:16]}"
    elif _RUN.fullmatch(asked):
        weights, called = _of_run(asked)
    else:
        weights, called = read_weights(Path(asked).expanduser()), asked
        weights = under_own_names(scenario, weights)
    require_fit(scenario, weights, called)
    return weights


def kept(digest: str) -> dict[str, Tensor]:
    """Return weights that were kept here.

    Raises:
        UserError: They are not here, or damaged.
    """
    file = _file(digest)
    if not file.exists():
        raise UserError(
            f"{FIELD}: no weights {digest[:16]} are kept on this host in {file.parent}; name the "
            "run or the file that they come from"
        )
    weights = read_weights(file)
    if weights_digest(weights) != digest:
        raise UserError(f"{FIELD}: {file} is damaged; delete it, and name where it came from")
    return weights


def _of_run(prefix: str) -> tuple[dict[str, Tensor], str]:
    """Return what the test of a run looked at, or would have: best, averaged or last weights."""
    with open_database().read() as session:
        ids = queries.find_runs(session, prefix)
        if len(ids) != 1:
            what = f"{len(ids)} runs start" if ids else "no run starts"
            raise UserError(
                f"{FIELD}: {what} with {prefix!r}; `caat status` lists the runs, and a file is "
                f"named ./{prefix}"
            )
        run, rows = queries.get_run(session, ids[0]), queries.checkpoints(session, ids[0])
    try:
        require_trained(run, ids[0])
    except UserError as error:
        raise UserError(f"{FIELD}: {str(error).removeprefix('RUN: ')}") from None
    searched = search(settings().data_dir, rows)
    if searched.found is None:
        raise UserError(f"{FIELD}: {ids[0]}: {searched.why_none()}")
    epoch, state = searched.found
    return deployed(state, epoch).weights, f"run {ids[0]}"


def _file(digest: str) -> Path:
    return settings().data_dir / "weights" / f"{digest}.safetensors"


def _write(file: Path, weights: dict[str, Tensor]) -> None:
    from safetensors.torch import save

    content = save({name: value.contiguous() for name, value in weights.items()})
    try:
        folder.make(file.parent)
        with atomic_write(file, file_mode(file.parent)) as path:
            path.write_bytes(content)
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"{FIELD}: {file} cannot be written ({why}); make room for it") from None
