"""How a scenario's training data are made from a dataset."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.data.config import DataConfig
from engine.data.corruption import imbalanced_counts, noisy_labels, transition_matrix
from engine.errors import UserError
from engine.mapped import in_pieces
from engine.seeds import derive_seed, numpy_stream
from engine.types import ImageSet, IntArray, rows_by_class

BEYOND_CHANCE = 1e-9
"""Chance below which something is taken not to happen."""


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
            for piece in in_pieces(part.images):
                state.update(np.ascontiguousarray(piece).data)
            for labels in (part.labels, part.true_labels):
                state.update(np.ascontiguousarray(labels).data)
        return state.hexdigest()


def prepare(config: DataConfig, seed: int, folder: Path, *, with_meta: bool = False) -> Data:
    """Make a run's data: hold out, subset, imbalance, then noise, each from its own stream.

    With ``with_meta`` the meta images stand behind the training images too, as they are: they are
    no part of the subset, nor touched by imbalance and noise.

    Raises:
        UserError: The dataset's files are missing.
    """
    source = config.source
    official_train, official_test = source.load(folder)
    meta_n, held = config.held_out.meta, sum(config.held_out)
    piles, test_piles = (
        shuffled_by_class(images.true_labels, len(source.class_names), numpy_stream(seed, "split"))
        for images in (official_train, official_test)
    )
    counts = _training_counts(config, [len(pile) for pile in piles], seed)
    train = official_train.take(
        _sorted([pile[held : held + n] for pile, n in zip(piles, counts, strict=True)])
    )
    train = _with_noise(train, config, seed)
    clean = replace(official_train, labels=official_train.true_labels)
    meta = clean.take(_sorted([pile[:meta_n] for pile in piles]))
    return Data(
        train=train.followed_by(meta) if with_meta else train,
        meta=meta,
        validation=clean.take(_sorted([pile[meta_n:held] for pile in piles])),
        test=clean.take(_sorted([pile[-config.search_per_class :] for pile in piles]))
        if config.search_per_class
        else official_test.take(stratified(test_piles, config.test_size or len(official_test))),
        class_names=source.class_names,
    )


def require_every_label(config: DataConfig, seed: int, folder: Path) -> None:
    """Refuse noise that, with this seed, leaves a class without a training image.

    The images are read only where that is not beyond all chance.

    Raises:
        UserError: It does, or the dataset's files are missing.
    """
    source = config.source
    if not source.knows_its_noise and _surely_every_label(config, seed):
        return
    empty = np.flatnonzero(prepare(config, seed, folder).class_counts == 0)
    if not len(empty):
        return
    none = f"with seed {seed} no training image is labelled {source.class_names[empty[0]]!r}"
    if source.knows_its_noise:
        raise UserError(f"data.dataset: {none}; set fewer aside, or take another seed")
    raise UserError(
        f"data.noise.ratio: {config.noise.ratio:g} is not valid, {none}; allowed: less noise, or "
        "more images in the rarest class"
    )


def _surely_every_label(config: DataConfig, seed: int) -> bool:
    """Tell, without reading an image, whether each class is beyond all chance not left empty."""
    if not config.noise.ratio:
        return True
    expected = training_counts(config, seed) @ noise_matrix(config, seed)
    # A class of n expected images is empty with probability exp(-n).
    return bool(np.exp(-expected).sum() < BEYOND_CHANCE)


def training_counts(config: DataConfig, seed: int, *, with_meta: bool = False) -> IntArray:
    """Return how many training images of each true class (C,) a run has, without reading any."""
    meta = config.held_out.meta if with_meta else 0
    return _training_counts(config, config.source.train_counts, seed) + meta


def available_counts(config: DataConfig) -> IntArray:
    """Return how many training images of each class (C,) are left for a run to draw from."""
    return np.array(config.source.train_counts, dtype=np.int64) - config.num_unseen


def balanced_counts(config: DataConfig, official: Sequence[int]) -> IntArray:
    """Return how many of the official training images (C,) a run draws before any imbalance."""
    available = np.array(official, dtype=np.int64) - config.num_unseen
    return stratified_counts(available, config.train_size or int(available.sum()))


def _training_counts(config: DataConfig, official: Sequence[int], seed: int) -> IntArray:
    counts = balanced_counts(config, official)
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


def shuffled_by_class(
    labels: IntArray, num_classes: int, rng: np.random.Generator
) -> list[IntArray]:
    """Return the positions of each class's images, shuffled."""
    return [rng.permutation(rows) for rows in rows_by_class(labels, num_classes)]


def stratified(piles: list[IntArray], size: int) -> IntArray:
    """Take ``size`` positions off the piles of the classes, in proportion; ascending."""
    counts = stratified_counts(np.array([len(pile) for pile in piles]), size)
    return _sorted([pile[:n] for pile, n in zip(piles, counts, strict=True)])


def _sorted(piles: list[IntArray]) -> IntArray:
    joined: IntArray = np.concatenate(piles)
    joined.sort()
    return joined


def noise_matrix(config: DataConfig, seed: int) -> npt.NDArray[np.float64]:
    """Return P(given label | true label), (C, C), as a run draws it."""
    rng, num_classes = numpy_stream(seed, "noise matrix"), len(config.source.class_names)
    return transition_matrix(config.noise.kind, config.noise.ratio, num_classes, rng=rng)


def _with_noise(train: ImageSet, config: DataConfig, seed: int) -> ImageSet:
    if config.source.knows_its_noise:
        return train  # its given labels are what training is told
    matrix = noise_matrix(config, seed)
    labels = noisy_labels(train.true_labels, matrix, derive_seed(seed, "noise"))
    return replace(train, labels=labels)
