"""Datasets: the table of sources, and how a scenario's training data are made from one."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from engine.config import Section
from engine.data.corruption import (
    ImbalanceConfig,
    NoiseConfig,
    imbalanced_counts,
    noisy_labels,
    transition_matrix,
)
from engine.data.datasets.base import Dataset, datasets
from engine.errors import UserError
from engine.seeds import derive_seed, numpy_stream
from engine.types import ImageSet, IntArray, rows_by_class

BEYOND_CHANCE = 1e-9
"""Chance below which something is taken not to happen."""


class DataConfig(Section):
    """Which images a run learns from, and how they are corrupted."""

    dataset: str = Field("digits", description="Dataset")
    meta_per_class: int | None = Field(
        None,
        ge=1,
        description="Clean images per class for the meta set; empty is the dataset's own",
    )
    val_per_class: int | None = Field(
        None, ge=1, description="Clean images per class for validation; empty is the dataset's own"
    )
    train_size: int | None = Field(
        None, ge=2, description="Stratified subset of the training images; empty takes all"
    )
    test_size: int | None = Field(
        None, ge=2, description="Stratified subset of the test images; empty takes all"
    )
    noise: NoiseConfig = NoiseConfig()
    imbalance: ImbalanceConfig = ImbalanceConfig()

    @field_validator("dataset")
    @classmethod
    def _dataset_is_known(cls, name: str) -> str:
        if name not in datasets():
            raise ValueError(f"{name!r} is unknown; choose {', '.join(datasets())}")
        return name

    @field_validator("meta_per_class")
    @classmethod
    def _meta_leaves_validation_images(cls, meta: int | None, info: ValidationInfo) -> int | None:
        if meta is None or "dataset" not in info.data:
            return meta
        return _within(meta, 1, min(datasets()[info.data["dataset"]].train_counts) - 2)

    @field_validator("val_per_class")
    @classmethod
    def _held_out_leaves_training_images(cls, val: int | None, info: ValidationInfo) -> int | None:
        if "dataset" not in info.data or "meta_per_class" not in info.data:
            return val
        source = datasets()[info.data["dataset"]]
        meta = info.data["meta_per_class"] or source.held_out_per_class
        held_out = meta + (val or source.held_out_per_class)
        smallest = min(source.train_counts)
        if held_out >= smallest:
            raise ValueError(
                f"meta_per_class + val_per_class is {held_out}; {source.title} has {smallest} "
                f"training images in its smallest class; allowed: at most {smallest - 1} together"
            )
        return val

    @field_validator("train_size")
    @classmethod
    def _train_size_fits(cls, size: int | None, info: ValidationInfo) -> int | None:
        if size is None or not {"dataset", "meta_per_class", "val_per_class"} <= info.data.keys():
            return size
        source = datasets()[info.data["dataset"]]
        held_out = sum(
            info.data[part] or source.held_out_per_class
            for part in ("meta_per_class", "val_per_class")
        )
        left = sum(source.train_counts) - held_out * len(source.class_names)
        return _within(size, len(source.class_names), left)

    @field_validator("test_size")
    @classmethod
    def _test_size_fits(cls, size: int | None, info: ValidationInfo) -> int | None:
        if size is None or "dataset" not in info.data:
            return size
        source = datasets()[info.data["dataset"]]
        return _within(size, len(source.class_names), sum(source.test_counts))

    @field_validator("noise")
    @classmethod
    def _noise_fits_the_class_count(cls, noise: NoiseConfig, info: ValidationInfo) -> NoiseConfig:
        if "dataset" in info.data:
            num_classes = len(datasets()[info.data["dataset"]].class_names)
            transition_matrix(noise.kind, noise.ratio, num_classes, np.random.default_rng(0))
        return noise

    @property
    def source(self) -> Dataset:
        return datasets()[self.dataset]


def _within(size: int, low: int, high: int) -> int:
    if not low <= size <= high:
        raise ValueError(f"{size} is not valid; allowed: a whole number, {low} to {high}")
    return size


@dataclass(frozen=True)
class Data:
    """The four sets of a run. Only ``train`` has noise and imbalance in it."""

    train: ImageSet
    meta: ImageSet
    validation: ImageSet
    test: ImageSet
    class_names: tuple[str, ...]

    @property
    def class_counts(self) -> IntArray:
        """(C,) training images per given label."""
        return np.bincount(self.train.labels, minlength=len(self.class_names)).astype(np.int64)

    def digest(self) -> str:
        """Return a fingerprint of every image and label that the run can see."""
        state = hashlib.sha256()
        for part in (self.train, self.meta, self.validation, self.test):
            for array in (part.images, part.labels, part.true_labels):
                state.update(np.ascontiguousarray(array).data)
        return state.hexdigest()


def prepare(config: DataConfig, seed: int, folder: Path) -> Data:
    """Make a run's data: hold out, subset, imbalance, then noise, each from its own stream.

    Raises:
        UserError: The dataset's files are missing.
    """
    source = config.source
    official_train, official_test = source.load(folder)
    num_classes = len(source.class_names)
    meta_n = config.meta_per_class or source.held_out_per_class
    val_n = config.val_per_class or source.held_out_per_class
    piles = _shuffled_by_class(official_train.labels, num_classes, seed)
    counts = _training_counts(config, [len(pile) for pile in piles], seed)
    held = meta_n + val_n
    train = official_train.take(
        _sorted([pile[held : held + n] for pile, n in zip(piles, counts, strict=True)])
    )
    test_piles = _shuffled_by_class(official_test.labels, num_classes, seed)
    test_counts = stratified_counts(
        np.array([len(pile) for pile in test_piles]), config.test_size or len(official_test)
    )
    return Data(
        train=_with_noise(train, config.noise, num_classes, seed),
        meta=official_train.take(_sorted([pile[:meta_n] for pile in piles])),
        validation=official_train.take(_sorted([pile[meta_n:held] for pile in piles])),
        test=official_test.take(
            _sorted([pile[:n] for pile, n in zip(test_piles, test_counts, strict=True)])
        ),
        class_names=source.class_names,
    )


def require_every_label(config: DataConfig, seed: int, folder: Path) -> None:
    """Refuse noise that, with this seed, leaves a class without a training image.

    The images are read only where that is not beyond all chance.

    Raises:
        UserError: It does, or the dataset's files are missing.
    """
    if not config.noise.ratio:
        return
    names = config.source.class_names
    rng = numpy_stream(seed, "noise matrix")
    matrix = transition_matrix(config.noise.kind, config.noise.ratio, len(names), rng)
    expected = training_counts(config, seed) @ matrix
    if np.exp(-expected).sum() < BEYOND_CHANCE:  # a class of n expected images is empty so rarely
        return
    empty = np.flatnonzero(prepare(config, seed, folder).class_counts == 0)
    if len(empty):
        raise UserError(
            f"data.noise.ratio: {config.noise.ratio:g} is not valid, with seed {seed} no training "
            f"image is labelled {names[empty[0]]!r}; allowed: less noise, or more images in the "
            "rarest class"
        )


def training_counts(config: DataConfig, seed: int) -> IntArray:
    """Return how many training images of each true class (C,) a run has, without reading any."""
    return _training_counts(config, config.source.train_counts, seed)


def available_counts(config: DataConfig) -> IntArray:
    """Return how many training images of each class (C,) are left for a run to draw from."""
    return np.array(config.source.train_counts, dtype=np.int64) - _held_out(config)


def _held_out(config: DataConfig) -> int:
    """Return how many training images of each class are set aside."""
    own = config.source.held_out_per_class
    return (config.meta_per_class or own) + (config.val_per_class or own)


def _training_counts(config: DataConfig, official: Sequence[int], seed: int) -> IntArray:
    available = np.array(official, dtype=np.int64) - _held_out(config)
    counts = stratified_counts(available, config.train_size or int(available.sum()))
    if config.imbalance.factor > 1:
        deal = numpy_stream(seed, "imbalance") if config.imbalance.shuffled else None
        counts = imbalanced_counts(counts, config.imbalance.factor, deal)
    return counts


def stratified_counts(available: IntArray, size: int) -> IntArray:
    """Share ``size`` among classes in proportion to what they have (largest remainder)."""
    exact = available * (size / available.sum())
    counts: IntArray = np.floor(exact).astype(np.int64)
    most_short = np.argsort(-(exact - counts), kind="stable")
    counts[most_short[: size - int(counts.sum())]] += 1
    return counts


def smallest_subset(available: IntArray, size: int) -> int:
    """Return the size above this one, which leaves a class empty, from which on no class is."""
    enough = math.ceil(available.sum() / available.min())  # where the rarest class's share is 1
    empty = (s for s in range(enough, size, -1) if stratified_counts(available, s).min() == 0)
    return next(empty, size) + 1


def _shuffled_by_class(labels: IntArray, num_classes: int, seed: int) -> list[IntArray]:
    rng = numpy_stream(seed, "split")
    return [rng.permutation(rows) for rows in rows_by_class(labels, num_classes)]


def _sorted(piles: list[IntArray]) -> IntArray:
    joined: IntArray = np.concatenate(piles)
    joined.sort()
    return joined


def _with_noise(train: ImageSet, noise: NoiseConfig, num_classes: int, seed: int) -> ImageSet:
    rng = numpy_stream(seed, "noise matrix")
    matrix = transition_matrix(noise.kind, noise.ratio, num_classes, rng)
    labels = noisy_labels(train.true_labels, matrix, derive_seed(seed, "noise"))
    return replace(train, labels=labels)
