"""The table ``data`` of a scenario: which images a run learns from, and how they are corrupted."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, ValidationInfo, field_serializer, field_validator

from engine.config import Section, Younger
from engine.data.absent import dataset_called
from engine.data.corruption import ImbalanceConfig, NoiseConfig, transition_matrix
from engine.data.datasets.base import Dataset, datasets
from engine.empty import Empty

META_SHARE, LEAST_META = 0.06, 20
"""The meta set of a new scenario, over the images that training draws from; and per class."""


class DataConfig(Section):
    """Which images a run learns from, and how they are corrupted."""

    dataset: str = Field("digits", description="Dataset")
    meta_per_class: Annotated[
        int | None, Empty(f"{100 * META_SHARE:.0f} % of the images, at least {LEAST_META}")
    ] = Field(None, ge=1, description="Clean images per class for the meta set")
    val_per_class: Annotated[int | None, Empty("the dataset's own")] = Field(
        None, ge=1, description="Clean images per class for validation"
    )
    search_per_class: Annotated[int | None, Younger(), Empty("none: test images")] = Field(
        None,
        ge=1,
        description="Training images per class that the run is tested on in place of the test "
        "images: settings are chosen by these, and the test images stay unseen",
    )
    train_size: Annotated[int | None, Empty("all", "takes")] = Field(
        None, ge=2, description="Stratified subset of the training images"
    )
    test_size: Annotated[int | None, Empty("all", "takes")] = Field(
        None, ge=2, description="Stratified subset of the test images"
    )
    noise: NoiseConfig = NoiseConfig()
    imbalance: ImbalanceConfig = ImbalanceConfig()

    @field_validator("meta_per_class")
    @classmethod
    def _meta_leaves_validation_images(cls, meta: int | None, info: ValidationInfo) -> int | None:
        source = _known(info)
        if meta is None or source is None:
            return meta
        return _within(meta, 1, min(source.train_counts) - 2)

    @field_validator("val_per_class")
    @classmethod
    def _held_out_leaves_training_images(cls, val: int | None, info: ValidationInfo) -> int | None:
        source = _known(info, "meta_per_class")
        if source is None:
            return val
        num_held = sum(held_out(source, info.data["meta_per_class"], val))
        smallest = min(source.train_counts)
        if num_held >= smallest:
            raise ValueError(
                f"meta_per_class + val_per_class is {num_held}; {source.title} has {smallest} "
                f"training images in its smallest class; allowed: at most {smallest - 1} together"
            )
        return val

    @field_validator("search_per_class")
    @classmethod
    def _search_leaves_training_images(cls, size: int | None, info: ValidationInfo) -> int | None:
        source = _known(info, "meta_per_class", "val_per_class")
        if size is None or source is None:
            return size
        num_held = sum(held_out(source, info.data["meta_per_class"], info.data["val_per_class"]))
        return _within(size, 1, min(source.train_counts) - num_held - 1)

    @field_validator("train_size")
    @classmethod
    def _train_size_fits(cls, size: int | None, info: ValidationInfo) -> int | None:
        source = _known(info, "meta_per_class", "val_per_class", "search_per_class")
        if size is None or source is None:
            return size
        num_held = sum(held_out(source, info.data["meta_per_class"], info.data["val_per_class"]))
        num_held += info.data["search_per_class"] or 0
        left = sum(source.train_counts) - num_held * len(source.class_names)
        return _within(size, len(source.class_names), left)

    @field_validator("test_size")
    @classmethod
    def _test_size_fits(cls, size: int | None, info: ValidationInfo) -> int | None:
        source = _known(info)
        if size is None or source is None:
            return size
        present = sum(n > 0 for n in source.test_counts)
        return _within(size, present, sum(source.test_counts))

    @field_validator("noise")
    @classmethod
    def _noise_fits_the_class_count(cls, noise: NoiseConfig, info: ValidationInfo) -> NoiseConfig:
        source = _known(info)
        if source is not None:
            num_classes = len(source.class_names)
            transition_matrix(noise.kind, noise.ratio, num_classes, rng=np.random.default_rng(0))
        return noise

    @field_serializer("meta_per_class")
    def _own_number_as_before(self, meta: int | None) -> int | None:
        """Write the dataset's own number as runs of before did: equal runs share a fingerprint."""
        return None if meta == self.source.held_out_per_class else meta

    @property
    def source(self) -> Dataset:
        """The dataset; of one that is unknown here, what stands for it."""
        return dataset_called(self.dataset)

    @property
    def num_unseen(self) -> int:
        """Training images of each class that the run does not train on."""
        return sum(self.held_out) + (self.search_per_class or 0)

    @property
    def held_out(self) -> "HeldOut":
        return held_out(self.source, self.meta_per_class, self.val_per_class)


class HeldOut(NamedTuple):
    """How many training images of each class are set aside."""

    meta: int
    validation: int


def held_out(source: Dataset, meta: int | None, validation: int | None) -> HeldOut:
    """Return what a scenario sets aside: what it asks for, else the dataset's own.

    A new scenario always asks for a meta set (`meta_per_class`); an older one may not.
    """
    own = source.held_out_per_class
    return HeldOut(meta or own, validation or own)


def meta_per_class(config: DataConfig) -> int:
    """Return what a new scenario sets aside for the meta set of each class unless it says.

    The released code has 300 of CIFAR-10's 5,000 images of a class: 6 %. The same share is taken of
    the images that training draws from, before any imbalance; fewer where they would not be left.
    """
    counts, num_classes = config.source.train_counts, len(config.source.class_names)
    validation, size = config.held_out.validation, config.train_size or sum(counts)
    least = min(LEAST_META, config.source.held_out_per_class)  # a small dataset says less
    wanted = max(least, round(META_SHARE * size / num_classes))
    left = [min(counts) - validation - 1]
    if config.train_size is not None:
        left.append((sum(counts) - config.train_size) // num_classes - validation)
    return max(1, min(wanted, *left))


def with_meta_set(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored scenario with the size of its meta set, where that is the dataset's own.

    What names no dataset that is known comes back as it is.
    """
    data = stored.get("data")
    if not isinstance(data, Mapping) or data.get("meta_per_class") is not None:
        return dict(stored)
    source = datasets().get(data.get("dataset", ""))
    if source is None:
        return dict(stored)
    return {**stored, "data": {**data, "meta_per_class": source.held_out_per_class}}


def _known(info: ValidationInfo, *fields: str) -> Dataset | None:
    """Return the dataset, if it is known and the fields that are read with it are right."""
    if not {"dataset", *fields} <= info.data.keys():
        return None
    return datasets().get(info.data["dataset"])


def _within(size: int, low: int, high: int) -> int:
    if not low <= size <= high:
        raise ValueError(f"{size} is not valid; allowed: a whole number, {low} to {high}")
    return size
