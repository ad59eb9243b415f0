"""train(scenario, observer): the only place that knows epochs."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from engine.models.classifier import normalisation_of
from engine.runtime import configure, require_precision
from engine.scenario import Scenario
from engine.training.observer import Observer
from engine.training.run_info import identity, run_facts
from engine.training.start_weights import require_named
from engine.training.trainer import Trainer


def train(
    scenario: Scenario,
    observer: Observer,
    *,
    data_folder: Path,
    device: torch.device,
    resume: tuple[int, dict[str, Tensor]] | None = None,
    start: Mapping[str, Tensor] | None = None,
) -> None:
    """Run a scenario to its end.

    Args:
        scenario: What to do.
        observer: Told of everything; asked before every step whether to stop.
        data_folder: Where datasets are kept.
        device: Where to compute.
        resume: Epoch and state of an `EpochReport` to go on from.
        start: The weights that ``training.start_from`` names by their digest; a run that goes on
            from an epoch has what became of them.

    Raises:
        Stopped: The observer asked for it.
        Diverged: The loss, a bound or the model is no longer a finite number.
        UserError: The data or the weights are missing, or the device lacks the precision.
    """
    if resume is None:
        require_named(scenario, start)
    require_precision(scenario.training.precision, device)
    configure(device, scenario.training.num_threads)
    data = scenario.prepared(data_folder)
    trainer = Trainer(scenario, data, observer, device=device)
    if start is not None:
        # With the normalisation that they were trained with; another library's file has none.
        trainer.model.load_state_dict({**normalisation_of(trainer.model), **start})
    run_to_end(trainer, resume=resume)


def run_to_end(trainer: Trainer, *, resume: tuple[int, dict[str, Tensor]] | None = None) -> None:
    """Train epoch by epoch, from the first or from one to go on from, and test; as `train` does."""
    scenario, data, observer = trainer.scenario, trainer.data, trainer.observer
    facts = run_facts(
        scenario, data, trainer.model, device=trainer.device, num_steps=trainer.num_steps
    )
    observer.on_start(facts, identity(data.train))
    epoch = 0
    if resume is not None:
        epoch = resume[0]
        trainer.load_state(resume[1])
    while not trainer.is_last(epoch):
        epoch += 1
        observer.on_epoch(trainer.run_epoch(epoch))
    observer.on_finish(trainer.test(epoch))
