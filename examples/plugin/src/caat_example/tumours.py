"""A data set: scikit-learn's 569 tumours, bundled with it."""

from pathlib import Path

import numpy as np

from caat_studio.plugins import Dataset, ImageSet


class Tumours(Dataset):
    """30 measurements of each tumour, as grey pixels in the rows of 6 x 6.

    Every fifth one is in the test part.
    """

    name = "tumours"
    title = "Tumours (6 x 6)"
    class_names = ("malignant", "benign")
    channels = 1
    size = 6
    train_counts = (172, 283)
    test_counts = (40, 74)
    held_out_per_class = 20

    def load(self, folder: Path) -> tuple[ImageSet, ImageSet]:
        from sklearn.datasets import load_breast_cancer  # a second to load

        table, labels = load_breast_cancer(return_X_y=True)
        low, high = table.min(axis=0), table.max(axis=0)
        pixels = np.zeros((len(table), 36), dtype=np.uint8)
        pixels[:, :30] = np.round(255 * (table - low) / (high - low))
        labels = labels.astype(np.int64)
        index = np.arange(len(labels))
        whole = ImageSet(pixels.reshape(-1, 1, 6, 6), labels, labels, index)
        in_test = index % 5 == 0
        return whole.take(index[~in_test]), whole.take(index[in_test])
