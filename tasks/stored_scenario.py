"""The scenario that a run was stored with, read for somebody who wants to go on from it."""

from pydantic import ValidationError

from db.reads.rows import RunDetail
from engine.data.absent import dataset_called
from engine.errors import UserError
from engine.mistakes import error_lines
from engine.scenario import Scenario
from tasks.recording.lacking import require_known
from tasks.settings import settings


def stored_scenario(run: RunDetail) -> Scenario:
    """Return a run's scenario.

    Raises:
        LackingError: It names a plug-in or a dataset that is not here.
        UserError: It cannot be read here any more: another dataset has come in the place of the one
            that it names.
    """
    require_known(run.scenario, run.facts)
    try:
        return Scenario.model_validate(run.scenario)
    except ValidationError as error:
        lines = error_lines(error, Scenario).items()
        told = "; ".join(f"{path}: {line}" for path, line in lines)
        raise UserError(f"RUN: what {run.id} asks for is not here: {told}") from None


def require_dataset(run: RunDetail) -> None:
    """Refuse to go on from a run whose dataset is unknown here.

    Raises:
        UserError: It is.
    """
    source = dataset_called(run.dataset)
    if not source.is_known:
        source.ensure(settings().dataset_dir)
