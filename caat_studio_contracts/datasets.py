"""What every dataset promises: that its images are those it tells of."""

from pathlib import Path

import numpy as np

from engine.data.config import DataConfig
from engine.data.datasets.base import Dataset, faults


def can_hold_out_what_it_says(source: Dataset) -> None:
    """Its facts go together, and a scenario on it is valid."""
    assert not list(faults(source))
    DataConfig(dataset=source.name)


def has_the_images_that_it_declares(source: Dataset, folder: Path) -> None:
    """Counts, shapes and kinds of its two parts are the declared ones; loaded twice, equal."""
    parts, again = source.load(folder), source.load(folder)
    for part, same, counts in zip(
        parts, again, (source.train_counts, source.test_counts), strict=True
    ):
        found = np.bincount(part.true_labels, minlength=len(source.class_names))
        assert tuple(found.tolist()) == tuple(counts)
        assert part.images.shape[1:] == (source.channels, source.size, source.size)
        assert part.images.dtype == np.uint8
        assert part.labels.dtype == part.true_labels.dtype == np.int64
        assert len(np.unique(part.source)) == len(part) == len(part.images)
        assert np.array_equal(part.images, same.images)
        assert np.array_equal(part.labels, same.labels)
