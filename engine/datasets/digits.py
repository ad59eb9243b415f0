"""scikit-learn's digits: 1,797 grey images of 8 x 8 pixels, bundled with the library."""

from pathlib import Path

import numpy as np

from engine.dataset import Dataset, register
from engine.types import ImageSet


@register
class Digits(Dataset):
    """The offline default. The test part is a fixed, stratified fifth."""

    name = "digits"
    title = "Digits (8 x 8)"
    class_names = tuple("0123456789")
    channels = 1
    size = 8
    train_counts = (142, 146, 142, 146, 145, 145, 145, 143, 139, 144)
    test_counts = (36, 36, 35, 37, 36, 37, 36, 36, 35, 36)
    held_out_per_class = 20

    def load(self, folder: Path) -> tuple[ImageSet, ImageSet]:
        # Imported here: it would take a second from the start of every command.
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        pixels, labels = load_digits(return_X_y=True)
        images = np.round(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
        labels = labels.astype(np.int64)
        index = np.arange(len(labels))
        train, test = train_test_split(index, test_size=0.2, stratify=labels, random_state=0)
        whole = ImageSet(images, labels, labels, index)
        return whole.take(np.sort(train)), whole.take(np.sort(test))
