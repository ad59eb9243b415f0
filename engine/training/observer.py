"""What a run tells the outside world, and the one thing it asks: shall I stop?"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt

from engine.evaluation.card import EvaluationCard
from engine.evaluation.evaluate import Evaluation
from engine.inspection.distributions import ClassDistribution
from engine.types import Columns

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RunFacts:
    """What is known once the data and the model stand."""

    class_names: tuple[str, ...]
    class_counts: list[int]
    """Training images per given label."""
    true_class_counts: list[int]
    num_train: int
    num_meta: int
    num_validation: int
    num_test: int
    flipped_labels: int
    """Training images whose given label is not the true one."""
    flipped_by_class: list[int]
    """The same per true class."""
    realised: dict[str, Any]
    """What the scenario's fields lead to together, by name (`engine.realised`)."""
    num_parameters: int
    device: str
    device_name: str
    num_threads: int
    memory_format: str
    precision: str
    cpu_capability: str
    data_digest: str
    steps_per_epoch: int
    start_weights: str | None
    """SHA-256 of the weights that the run started from; None is its seed's."""
    versions: dict[str, str]
    numerics: int
    """`engine.scenario.NUMERICS` of the program that trains it."""
    plugins: dict[str, str] = field(default_factory=dict)
    """Version of each installed distribution, other than this one, that the scenario uses."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Progress:
    """Where a run is, told after every step; ``epoch`` is the one in work, counted from 1."""

    phase: str
    """training, validating or testing"""
    epoch: int
    step: int
    """Steps done in this epoch."""
    num_steps: int
    batch_loss: float | None = None
    """Mean loss since the last one told; about ten an epoch."""

    @property
    def total_steps(self) -> int:
        return (self.epoch - 1) * self.num_steps + self.step


@dataclass(frozen=True)
class Snapshot:
    """What the method gave each training sample in one epoch.

    Attributes:
        columns: Per-sample arrays (N,): ``clean_weight``, ``adversary_weight``,
            ``anti_adversary_weight``, ``bound``, and the characteristics if the method reads them.
        distributions: The same by class of the given label.
        gallery: Some samples with their images: see `engine.inspection.gallery`.
    """

    columns: dict[str, npt.NDArray[Any]]
    distributions: list[ClassDistribution]
    gallery: dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class EpochReport:
    """Everything one epoch gave.

    Attributes:
        epoch: Counted from 1.
        step: Steps taken since the run began.
        measures: Means over the epoch by name: ``loss``, its terms, ``learning_rate``, mean
            weights, and what the method says of itself.
        validation: Errors on the validation set.
        class_measures: Per given label (C,) lists: mean weights and bound, share of
            anti-adversaries.
        class_counts: (C,) training samples per given label.
        snapshot: Per-sample records, on recorded epochs.
        state: Everything needed to go on from here, bit by bit; a copy, on the CPU.
    """

    epoch: int
    step: int
    measures: dict[str, float]
    validation: Evaluation
    class_measures: dict[str, list[float]]
    class_counts: list[int]
    snapshot: Snapshot | None
    state: dict[str, Tensor] = field(repr=False)


@dataclass(frozen=True)
class FinalReport:
    """The one look at the test data, and the protocol behind its numbers.

    Attributes:
        epoch, step: Where training was.
        outcomes: Sample, label, clean and attacked prediction of each test image, (N,) each.
        test: Errors counted from them.
        card: The protocol.
    """

    epoch: int
    step: int
    outcomes: Columns
    test: Evaluation
    card: EvaluationCard


class Observer(Protocol):
    """Where a run's reports go."""

    def on_start(self, facts: RunFacts, samples: dict[str, npt.NDArray[Any]]) -> None:
        """Take the facts and the samples' identity: sample, given_label and true_label, (N,)."""

    def on_progress(self, progress: Progress) -> None: ...

    def on_epoch(self, report: EpochReport) -> None: ...

    def on_finish(self, report: FinalReport) -> None: ...

    def should_stop(self) -> bool:
        """Return whether to stop before the next step; asked often, so answer at once."""
