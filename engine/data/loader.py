"""The training images, batch by batch."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from engine.data.augmentation import crop_and_mirror
from engine.seeds import torch_stream
from engine.types import Batch, DeviceImages


class Batches:
    """Shuffled epochs of a training set, augmented if asked, each from streams of its own.

    Attributes:
        num_steps: Batches of an epoch.
    """

    def __init__(self, images: DeviceImages, batch_size: int, seed: int, *, augment: bool) -> None:
        self.images, self.seed, self.augment = images, seed, augment
        self.num_steps = max(1, -(-len(images) // batch_size))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Cut a shuffled epoch into batches whose sizes differ by at most one."""
        device = self.images.labels.device
        shuffle = torch_stream(self.seed, "shuffle", epoch)
        draws = torch_stream(self.seed, "augmentation", epoch, device=device)
        order = torch.randperm(len(self.images), generator=shuffle).to(device)
        for index in order.tensor_split(self.num_steps):
            batch = self.images.batch(index)
            yield replace(batch, x=crop_and_mirror(batch.x, draws)) if self.augment else batch
