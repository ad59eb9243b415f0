import numpy as np
import pytest
import torch

from engine.data.augmentation import crop_and_mirror
from engine.data.loader import Batches
from engine.seeds import torch_stream
from engine.types import DeviceImages


def every_window(image: np.ndarray) -> dict[bytes, tuple[int, int, bool]]:
    """Cut every window of the reflected image by hand, as it is and mirrored."""
    size = image.shape[1]
    pad = size // 8
    padded = np.pad(image, ((0, 0), (pad, pad), (pad, pad)), mode="reflect")
    found = {}
    for top in range(2 * pad + 1):
        for left in range(2 * pad + 1):
            window = padded[:, top : top + size, left : left + size]
            found[window.tobytes()] = (top, left, False)
            found[window[:, :, ::-1].tobytes()] = (top, left, True)
    return found


@pytest.mark.parametrize(("channels", "size"), [(1, 8), (3, 16), (3, 32)])
def test_each_image_becomes_one_window_of_its_own_reflection(channels, size):
    x = torch.rand(200, channels, size, size)
    moved = crop_and_mirror(x, torch_stream(0, "augmentation", 1))
    assert moved.shape == x.shape
    drawn = [
        every_window(image.numpy())[window.numpy().tobytes()]
        for image, window in zip(x, moved, strict=True)
    ]
    tops, lefts, mirrored = (np.array(column) for column in zip(*drawn, strict=True))
    num = 2 * (size // 8) + 1
    assert set(tops) == set(lefts) == set(range(num))
    assert 60 < mirrored.sum() < 140
    assert abs(np.corrcoef(tops, lefts)[0, 1]) < 0.3  # drawn apart, and for each sample


def test_equal_streams_give_equal_crops_and_other_epochs_do_not():
    x = torch.rand(20, 1, 8, 8)
    first, again, other = (
        crop_and_mirror(x, torch_stream(0, "augmentation", epoch)) for epoch in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_pixels_stay_in_range_and_the_given_images_as_they_were():
    x = torch.rand(30, 3, 8, 8)
    before = x.clone()
    moved = crop_and_mirror(x, torch_stream(3, "augmentation", 1))
    assert torch.equal(x, before)
    assert set(moved.flatten().tolist()) <= set(x.flatten().tolist())


def test_an_epochs_crops_depend_on_seed_and_epoch_only():
    picture = torch.randint(256, (1, 1, 8, 8), dtype=torch.uint8).repeat(40, 1, 1, 1)
    images = DeviceImages(picture, torch.zeros(40, dtype=torch.int64))

    def crops(seed: int, epoch: int) -> torch.Tensor:
        batches = Batches(images, batch_size=16, seed=seed, augment=True)
        return torch.cat([batch.x for batch in batches.epoch(epoch)])

    assert torch.equal(crops(0, 1), crops(0, 1))
    assert not torch.equal(crops(0, 1), crops(0, 2))
    assert not torch.equal(crops(0, 1), crops(1, 1))
