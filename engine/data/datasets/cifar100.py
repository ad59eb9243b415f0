"""CIFAR-100 (Krizhevsky, 2009): 60,000 colour images of 32 x 32 pixels in a hundred classes."""

from pathlib import Path
from typing import Any

import numpy.typing as npt

from engine.data.datasets._torchvision import TorchvisionDataset, read_cifar
from engine.data.datasets.base import register
from engine.types import ByteArray

_FOLDER = "cifar-100-python"
# The fine labels, in the order of the dataset's own file "meta".
_NAMES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab
    crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
    keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse
    mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy
    porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper
    snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television
    tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""


@register
class Cifar100(TorchvisionDataset):
    """The hundred fine classes."""

    name = "cifar100"
    title = "CIFAR-100"
    class_names = tuple(name.replace("_", " ") for name in _NAMES.split())
    channels = 3
    size = 32
    train_counts = (500,) * 100
    test_counts = (100,) * 100
    held_out_per_class = 20
    fetched_by = "CIFAR100"
    files = (f"{_FOLDER}/train", f"{_FOLDER}/test")
    address = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"

    def read(self, folder: Path, part: str) -> tuple[ByteArray, npt.NDArray[Any]]:
        return read_cifar(folder / _FOLDER / part, "fine_labels")
