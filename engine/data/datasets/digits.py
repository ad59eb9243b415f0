"""scikit-learn's digits: 1,797 grey images of 8 x 8 pixels, bundled with the library."""

import importlib.util
from pathlib import Path

import numpy as np

from engine.data.datasets.base import Dataset, register
from engine.types import ImageSet, IntArray

_IN_TEST = bytes.fromhex(
    "000004883524104000064100934205001a00080100240028062c12001000940a009019120420f8a0028110a000"
    "080a8820441524494240a00a0000004004d80000818020004805c400104008a0100005404800301000020ec409"
    "000224840083a8013c20a6980a0000000b08400804a0184802024041c1008004404684376a8102160044800040"
    "42a0a4180a5000840b8561c608108008004c80c02004068e00010882008100380803c008190000100e01008410"
    "a0210033282904c044c080680e0102830082008822a6402c24042108a860809081a00c02820242120138a41500"
)
"""A bit an image: what ``train_test_split(test_size=0.2, random_state=0)`` draws, stratified."""


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
        table = _table()
        images = np.round(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
        labels = table[:, -1].astype(np.int64)
        in_test = np.unpackbits(np.frombuffer(_IN_TEST, np.uint8), count=len(labels)).astype(bool)
        whole = ImageSet(images, labels, labels, np.arange(len(labels)))
        return whole.take(_positions(~in_test)), whole.take(_positions(in_test))


def _positions(marks: np.ndarray) -> IntArray:
    return np.flatnonzero(marks)


def _table() -> np.ndarray:
    """Return (1797, 65): 64 pixels of 0 to 16 and the label, of each image.

    Read from scikit-learn's own file without loading the library, which takes a second.
    """
    found = importlib.util.find_spec("sklearn")
    assert found is not None
    assert found.origin is not None
    file = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
    return np.loadtxt(file, delimiter=",")
