import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.components.images import SIDE, amplification, amplified, enlarged, moved


def test_an_image_is_enlarged_without_blur():
    image = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    shown = enlarged(image)
    assert shown.shape == (SIDE, SIDE, 3)
    assert set(np.unique(shown)) == set(np.unique(image))


def test_no_change_is_grey():
    assert (amplified(np.zeros((3, 2, 2), np.float16), 10) == 128).all()


@given(st.floats(1e-3, 0.5))
def test_the_largest_change_nearly_fills_the_scale(largest):
    delta = np.array([[[largest, -largest / 2]]], dtype=np.float32)
    factor = amplification([delta])
    assert factor * largest <= 0.5 + 1e-6
    assert (factor + 1) * largest >= 0.5 - 1e-6


def test_a_moved_image_stays_an_image():
    image = np.array([[[0, 255, 100]]], dtype=np.uint8)
    delta = np.array([[[-0.1, 0.1, 8 / 255]]], dtype=np.float16)
    assert moved(image, delta).tolist() == [[[0, 255, 108]]]
