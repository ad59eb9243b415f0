"""What is known of a run before its first step, and the protocol behind its last numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.attacks.base import Conditions
from engine.data.preparation import Data
from engine.evaluation.card import EvaluationCard, Subject, card_of
from engine.evaluation.evaluate import attack_of
from engine.evaluation.statistics import class_counts
from engine.lazy import torch
from engine.realised import realised
from engine.runtime import device_name, versions
from engine.scenario import NUMERICS, Scenario
from engine.training.observer import RunFacts
from engine.types import Columns, ImageSet

if TYPE_CHECKING:
    from torch import nn


def run_facts(
    scenario: Scenario, data: Data, model: nn.Module, *, device: torch.device, num_steps: int
) -> RunFacts:
    """Return what is known once data and model stand; ``num_steps`` are those of an epoch."""
    true_labels, num_classes = data.train.true_labels, len(data.class_names)
    flipped = data.train.labels != true_labels
    true_counts = class_counts(true_labels, num_classes)
    return RunFacts(
        class_names=data.class_names,
        class_counts=data.class_counts.tolist(),
        true_class_counts=true_counts.tolist(),
        num_train=len(data.train),
        num_meta=len(data.meta),
        num_validation=len(data.validation),
        num_test=len(data.test),
        flipped_labels=int(flipped.sum()),
        flipped_by_class=class_counts(true_labels[flipped], num_classes).tolist(),
        realised=realised(scenario, true_counts),
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        device=str(device),
        device_name=device_name(device),
        num_threads=scenario.training.num_threads,
        memory_format="channels_last" if scenario.training.channels_last else "contiguous",
        precision=scenario.training.precision,
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        data_digest=data.digest(),
        steps_per_epoch=num_steps,
        start_weights=scenario.training.start_from,
        versions={**versions(), **scenario.plugins()},
        numerics=NUMERICS,
        plugins=scenario.plugins(),
    )


def identity(train: ImageSet) -> Columns:
    """Return who the training samples are, in the order of every per-sample array."""
    return {"sample": train.source, "given_label": train.labels, "true_label": train.true_labels}


def checkpoint_in_words(epoch: int, last: int, planned: int, *, best: bool, averaged: bool) -> str:
    """Say which weights the test looked at.

    Args:
        epoch: The epoch whose weights they are.
        last: The last epoch that was trained.
        planned: The epochs that were asked for.
        best: Whether the epoch was chosen by the validation data.
        averaged: Whether the weights are averaged over the steps.
    """
    if best:
        words = f"epoch {epoch} of {last}, best on validation data"
    else:
        words = "last epoch" if last == planned else f"last epoch, {last}"
    if last < planned:
        words += f"; stopped early of {planned}"
    return f"{words}, averaged weights" if averaged else words


def card_of_test(scenario: Scenario, data: Data, checkpoint: str) -> EvaluationCard:
    """Return the protocol of the one look at the test data, at the weights that are named."""
    attack = attack_of(scenario.evaluation, scenario.threat, split="test")
    conditions = Conditions(scenario.seed, scenario.evaluation.batch_size)
    return card_of(
        attack, subject_of_test(scenario, data, checkpoint), conditions, n=len(data.test)
    )


def subject_of_test(scenario: Scenario, data: Data, checkpoint: str) -> Subject:
    """Return what a run's model and its test images are; or those of the search split."""
    by_search = scenario.data.search_per_class is not None
    return Subject(
        images=data.test,
        num_classes=len(data.class_names),
        split="search" if by_search else "test",
        whole=len(data.test) if by_search else sum(scenario.data.source.test_counts),
        checkpoint=checkpoint,
        trained=scenario.threat,
        method=scenario.method.label,
    )
