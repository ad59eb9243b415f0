"""train(scenario): a run from its first step to its test, in this process."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from engine.data.datasets.base import DATASETS
from engine.errors import UserError
from engine.lazy import torch
from engine.library.asked import device_of, require_classifier, scenario_asked
from engine.library.images import Given, InMemory, data_folder, images_of
from engine.library.report import Report, report_of
from engine.models.modes import allow_tf32
from engine.runtime import configure, pick_device, require_precision
from engine.scenario import Scenario
from engine.training.build import given_model
from engine.training.observer import EpochReport, FinalReport, Progress, RunFacts
from engine.types import Columns

if TYPE_CHECKING:
    from torch import nn

    from engine.training.trainer import Trainer


@dataclass(frozen=True, eq=False)
class Trained:
    """A run that has ended.

    Attributes:
        scenario: What was done, every default written out.
        model: The network with the weights that were tested, in eval mode, on its device: from
            images (B, channels, size, size) in [0, 1] to logits (B, C).
        errors: On the test images, class by class, with the evaluation card.
        assignments: Of each recorded epoch, by its number, what the method gave each of the N
            training samples, (N,) arrays: ``sample``, ``given_label``, ``true_label``,
            ``clean_weight``, ``adversary_weight``, ``anti_adversary_weight``, ``bound``, and the
            characteristics if the method reads them. ``training.record_every`` says how often.
        history: For each epoch, in turn, its measures by name: mean losses and weights, and
            what the method says of itself.
        facts: What is known of the run besides: its device, the digest of its data, versions.
    """

    scenario: Scenario
    model: nn.Module
    errors: Report
    assignments: dict[int, Columns]
    history: list[dict[str, float]]
    facts: RunFacts

    @property
    def assignment(self) -> Columns:
        """What the method gave each training sample in the last recorded epoch, (N,) arrays."""
        return self.assignments[max(self.assignments)]


def train(
    scenario: Scenario | Mapping[str, Any],
    *,
    model: nn.Module | None = None,
    data: Given | None = None,
    device: str = "auto",
    folder: Path | None = None,
    on_epoch: Callable[[EpochReport], object] | None = None,
) -> Trained:
    """Train what a scenario says and test it, as ``caat run`` does, and return what came of it.

    Args:
        scenario: A `Scenario`, or its tables as in a scenario file; all that is left out has its
            default. With ``data`` of one's own the tables are better: their numbers are then
            checked against those data alone.
        model: A network of one's own in the place of ``[model]``: from images in [0, 1] to logits.
            A copy of it is trained; it stays as it is.
        data: A data set of one's own in the place of ``data.dataset``: ``(x_train, y_train,
            x_test, y_test)``, or what `load_data` returns. Noise and imbalance apply to it too.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        folder: Where datasets are kept; by default where `caat` keeps them.
        on_epoch: Told of every epoch as it ends.

    Raises:
        UserError: Scenario, model, data and device do not go together; nothing was trained.
        Diverged: The loss is no longer a finite number.

    >>> from engine import train
    >>> run = train({"method": {"name": "trades"}, "training": {"epochs": 2}})
    >>> len(run.history), run.errors.card.label
    (2, 'PGD-20')
    >>> run.errors.robust_error.per_class.shape
    (10,)
    >>> sorted(run.assignment)[:3]
    ['adversary_weight', 'anti_adversary_weight', 'bound']
    """
    source = None if data is None else InMemory(images_of(data))
    held = nullcontext() if source is None else DATASETS.holding(source.name, source)
    with held, _process_as_it_was():
        asked = scenario_asked(scenario, None if source is None else source.name)
        if asked.training.start_from is not None:
            raise UserError("training.start_from: give the network itself, train(..., model=...)")
        place = pick_device(device)
        told = _Told(on_epoch)
        run = _trainer(asked, folder or data_folder(), told, device=place, own=model)
        from engine.training.loop import run_to_end  # it loads torch

        run_to_end(run)
        return _trained(run, told, is_own=model is not None)


class _Told:
    """Keeps what a run tells, but for the state to go on from."""

    def __init__(self, on_epoch: Callable[[EpochReport], object] | None) -> None:
        self._on_epoch = on_epoch
        self.history: list[dict[str, float]] = []
        self.assignments: dict[int, Columns] = {}
        self._samples: Columns = {}
        self.facts: RunFacts
        self.final: FinalReport

    def on_start(self, facts: RunFacts, samples: dict[str, npt.NDArray[Any]]) -> None:
        self.facts, self._samples = facts, samples

    def on_progress(self, progress: Progress) -> None: ...

    def on_epoch(self, report: EpochReport) -> None:
        self.history.append(report.measures)
        if report.snapshot is not None:
            self.assignments[report.epoch] = {**self._samples, **report.snapshot.columns}
        if self._on_epoch is not None:
            self._on_epoch(report)

    def on_finish(self, report: FinalReport) -> None:
        self.final = report

    def should_stop(self) -> bool:
        return False


def _trainer(
    scenario: Scenario, folder: Path, told: _Told, *, device: torch.device, own: nn.Module | None
) -> Trainer:
    from engine.training.trainer import Trainer  # it loads torch

    require_precision(scenario.training.precision, device)
    configure(device, scenario.training.num_threads)
    data, model = scenario.prepared(folder), None
    if own is not None:
        first = torch.from_numpy(data.train.images[:2]).to(device) / 255
        require_classifier(own, first.to(device_of(own)))
        model = given_model(scenario, own).to(device)
        num_classes = require_classifier(model, first)
        if num_classes != len(data.class_names):
            wide = f"it gives {num_classes} logits, and the data have {len(data.class_names)}"
            raise UserError(f"model: {wide} classes; make its last layer as wide")
        if not any(parameter.requires_grad for parameter in model.parameters()):
            raise UserError("model: it has no parameter that can be trained")
    return Trainer(scenario, data, told, device=device, model=model)


def _trained(run: Trainer, told: _Told, *, is_own: bool) -> Trained:
    with run.average.applied(run.model), run.selection.applied(run.model):
        tested = copy.deepcopy(run.model.backbone if is_own else run.model)
    final = told.final
    return Trained(
        scenario=run.scenario,
        model=tested.eval(),
        errors=report_of(final.outcomes, final.card, run.data.class_names),
        assignments=told.assignments,
        history=told.history,
        facts=told.facts,
    )


@contextmanager
def _process_as_it_was() -> Iterator[None]:
    """Undo what a run sets for its whole process: threads, algorithms and arithmetic."""
    threads, debug = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    drops = _drops_denormals()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(debug)
        torch.set_flush_denormal(drops)
        allow_tf32(*before)


def _drops_denormals() -> bool:
    """Tell whether this process takes numbers below 1e-38 for 0; torch sets that, but tells not."""
    return not bool(torch.tensor([1e-39]).mul(1.0).ne(0).item())
