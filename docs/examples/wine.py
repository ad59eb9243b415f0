"""A dataset in one file; its place is engine/data/datasets/wine.py."""

from pathlib import Path

import numpy as np

from engine.data.datasets.base import Dataset, register
from engine.types import ImageSet


@register
class Wine(Dataset):
    """scikit-learn's 178 Italian wines: 13 measurements as grey pixels, in the rows of 4 x 4.

    Every fourth wine is in the test part.
    """

    name = "wine"
    title = "Wines (4 x 4)"
    class_names = ("barolo", "grignolino", "barbera")
    channels = 1
    size = 4
    train_counts = (44, 53, 36)
    test_counts = (15, 18, 12)
    held_out_per_class = 5

    def load(self, folder: Path) -> tuple[ImageSet, ImageSet]:
        from sklearn.datasets import load_wine  # a second to load

        table, labels = load_wine(return_X_y=True)
        low, high = table.min(axis=0), table.max(axis=0)
        pixels = np.zeros((len(table), 16), dtype=np.uint8)
        pixels[:, :13] = np.round(255 * (table - low) / (high - low))
        labels = labels.astype(np.int64)
        index = np.arange(len(labels))
        whole = ImageSet(pixels.reshape(-1, 1, 4, 4), labels, labels, index)
        return whole.take(index[index % 4 != 0]), whole.take(index[index % 4 == 0])
