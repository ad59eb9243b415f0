from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from caat_studio_contracts import datasets as rules
from engine.data.config import DataConfig
from engine.data.datasets.base import datasets, register
from engine.data.preparation import (
    available_counts,
    balanced_counts,
    noise_matrix,
    prepare,
    stratified_counts,
    training_counts,
)
from engine.types import rows_by_class

NOWHERE = Path("not-used")


def digits(seed: int = 0, **fields):
    return prepare(DataConfig(dataset="digits", **fields), seed, NOWHERE)


@pytest.mark.parametrize("seed", [0, 1])
def test_no_image_is_in_two_sets(seed):
    data = digits(seed, meta_per_class=10, val_per_class=15)
    parts = [data.train, data.meta, data.validation, data.test]
    sources = np.concatenate([part.source for part in parts])
    assert len(sources) == len(np.unique(sources)) == 1797


def test_the_declared_counts_are_the_real_ones():
    source = datasets()["digits"]
    rules.has_the_images_that_it_declares(source, NOWHERE)
    train, _ = source.load(NOWHERE)
    assert train.images.min() == 0
    assert train.images.max() == 255


def test_a_sample_is_the_image_that_its_source_says():
    whole_train, whole_test = datasets()["digits"].load(NOWHERE)
    images = {**dict(zip(whole_train.source.tolist(), whole_train.images, strict=True))}
    images |= dict(zip(whole_test.source.tolist(), whole_test.images, strict=True))
    for part in (data := digits(train_size=200)).train, data.meta, data.test:
        for source, image in zip(part.source.tolist(), part.images, strict=True):
            assert np.array_equal(images[source], image)


def test_meta_and_validation_are_balanced_and_clean_whatever_is_done_to_train():
    data = digits(
        meta_per_class=7,
        val_per_class=9,
        noise={"kind": "uniform", "ratio": 0.5},
        imbalance={"factor": 20},
    )
    assert np.bincount(data.meta.labels).tolist() == [7] * 10
    assert np.bincount(data.validation.labels).tolist() == [9] * 10
    for part in (data.meta, data.validation, data.test):
        assert np.array_equal(part.labels, part.true_labels)
    assert (data.train.labels != data.train.true_labels).mean() > 0.2


def test_noise_changes_given_labels_and_nothing_else():
    clean, noisy = digits(), digits(noise={"kind": "pair", "ratio": 0.3})
    flipped = noisy.train.labels != noisy.train.true_labels
    assert np.array_equal(clean.train.source, noisy.train.source)
    assert np.array_equal(clean.train.labels, noisy.train.true_labels)
    next_class = (noisy.train.true_labels[flipped] + 1) % 10
    assert np.array_equal(noisy.train.labels[flipped], next_class)


def test_a_run_draws_its_labels_from_the_noise_that_is_foreseen():
    config = DataConfig(dataset="digits", noise={"kind": "flip2", "ratio": 0.6})
    train = prepare(config, 5, NOWHERE).train
    seen = np.zeros((10, 10), dtype=bool)
    seen[train.true_labels, train.labels] = True
    assert np.array_equal(seen, noise_matrix(config, 5) > 0)
    assert not np.array_equal(noise_matrix(config, 5), noise_matrix(config, 6))


def test_a_scenario_holds_out_what_it_asks_for_else_what_the_dataset_does():
    own = datasets()["digits"].held_out_per_class
    asked = DataConfig(dataset="digits", meta_per_class=7)
    assert asked.held_out == (7, own) == (asked.held_out.meta, asked.held_out.validation)
    assert len(prepare(asked, 1, NOWHERE).meta) == 70
    everything = np.array(datasets()["digits"].train_counts)
    assert np.array_equal(available_counts(asked), everything - 7 - own)
    assert np.array_equal(balanced_counts(asked, everything), everything - 7 - own)
    some = DataConfig(dataset="digits", meta_per_class=7, train_size=100, imbalance={"factor": 4})
    assert balanced_counts(some, everything).sum() == 100 > training_counts(some, 0).sum()


@pytest.mark.parametrize(("train_size", "test_size"), [(10, 10), (333, 77), (1036, 360)])
def test_a_subset_has_its_exact_size_and_every_class(train_size, test_size):
    data = digits(train_size=train_size, test_size=test_size)
    assert (len(data.train), len(data.test)) == (train_size, test_size)
    for part, size in ((data.train, train_size), (data.test, test_size)):
        counts = np.bincount(part.labels, minlength=10)
        assert counts.min() >= 1
        assert counts.max() - counts.min() <= max(2, size // 50)


@given(st.lists(st.integers(1, 5000), min_size=2, max_size=30), st.data())
@settings(max_examples=80, deadline=None)
def test_stratified_shares_are_within_one_of_the_exact_ones(available, data):
    size = data.draw(st.integers(1, sum(available)))
    counts = stratified_counts(np.array(available), size)
    assert counts.sum() == size
    assert (counts <= available).all()
    exact = np.array(available) * size / sum(available)
    assert (np.abs(counts - exact) < 1 + 1e-9).all()


@given(st.lists(st.integers(0, 6), max_size=60))
@settings(max_examples=40, deadline=None)
def test_rows_by_class_are_where_each_label_stands(labels):
    rows = rows_by_class(np.array(labels, dtype=np.int64), 7)
    assert [found.tolist() for found in rows] == [
        [row for row, given_label in enumerate(labels) if given_label == label]
        for label in range(7)
    ]


def test_imbalance_is_the_ratio_of_largest_to_smallest_class():
    counts = digits(imbalance={"factor": 10}).class_counts
    assert counts[0] == 99  # the smallest class has 139 images, 40 of them held out
    assert counts[-1] == 9
    assert np.all(np.diff(counts) <= 0)


def test_equal_seeds_give_equal_data_and_other_seeds_do_not():
    noise = {"kind": "flip2", "ratio": 0.2}
    same = [digits(3, noise=noise).digest() for _ in range(2)]
    assert same[0] == same[1]
    assert digits(4, noise=noise).digest() != same[0]


def test_the_digest_changes_with_one_label_and_with_one_pixel():
    data = digits(train_size=50)
    labels = data.train.labels.copy()
    labels[7] = (labels[7] + 1) % 10
    images = data.test.images.copy()
    images[0, 0, 0, 0] ^= 1
    digests = {
        data.digest(),
        replace(data, train=replace(data.train, labels=labels)).digest(),
        replace(data, test=replace(data.test, images=images)).digest(),
    }
    assert len(digests) == 3


def test_two_datasets_may_not_share_a_name():
    with pytest.raises(ValueError, match="two datasets are called 'digits'"):
        register(type(datasets()["digits"]))


@pytest.mark.parametrize("name", datasets())
def test_a_dataset_can_hold_out_what_it_says_it_holds_out(name):
    rules.can_hold_out_what_it_says(datasets()[name])


def test_the_digits_and_their_split_are_those_of_scikit_learn():
    pixels, labels = load_digits(return_X_y=True)
    index = np.arange(len(labels))
    parts = train_test_split(index, test_size=0.2, stratify=labels, random_state=0)
    for found, expected in zip(datasets()["digits"].load(Path()), map(np.sort, parts), strict=True):
        assert (found.source == expected).all()
        assert (found.labels == labels[expected]).all()
        assert (found.images.reshape(-1, 64) == np.round(pixels * (255 / 16))[expected]).all()
