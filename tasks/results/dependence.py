"""What a run's weighting network learned, read from its newest checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from pydantic import ValidationError

from db.reads import queries
from db.reads.rows import RunDetail
from db.session import Database
from engine.inspection.contributions import Explanation, explain
from engine.inspection.importance import partial_dependence
from engine.methods.base import LearnedWeight
from engine.scenario import Scenario
from engine.types import Columns, FloatArray
from tasks.recording.checkpoints import newest_good
from tasks.settings import settings

if TYPE_CHECKING:
    from torch import Tensor

State: TypeAlias = "dict[str, Tensor]"


def learned_weight(run: RunDetail) -> LearnedWeight | None:
    """Return the weighting network of a run's method, not yet trained, or None: it has none."""
    try:
        return Scenario.model_validate(run.scenario).method.learned_weight()
    except ValidationError:  # a plug-in's method that is not installed here
        return None


def kept_network(database: Database, run_id: str) -> tuple[int, State] | None:
    """Return the epoch of the newest checkpoint, and what it holds of the network, or None."""
    with database.read() as session:
        found = newest_good(settings().data_dir, queries.checkpoints(session, run_id))
    if found is None:
        return None
    epoch, state = found
    return epoch, {name: v for name, v in state.items() if name.startswith("method.network.")}


def dependence(
    run: RunDetail, state: State, columns: Columns, *, name: str, grid: FloatArray
) -> FloatArray:
    """Return the partial dependence of the learned weight on one characteristic, (G,)."""
    learned = learned_weight(run)
    if learned is None:
        raise ValueError(f"the method of run {run.id} has no weighting network")
    return partial_dependence(learned, state, columns, name=name, grid=grid)


def explanation(run: RunDetail, state: State, columns: Columns, *, row: int) -> Explanation:
    """Return how one sample came to its weight; ``columns`` have ``given_label`` too."""
    learned = learned_weight(run)
    if learned is None:
        raise ValueError(f"the method of run {run.id} has no weighting network")
    return explain(learned, state, columns, labels=columns["given_label"], row=row)
