import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.components.images import SIDE, amplification, amplified, enlarged, moved
from app.samples.cards import Sample, enlargement, open_page


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


@pytest.mark.parametrize(
    ("number", "asked", "offered", "shown"),
    [(6, None, None, range(6)), (7, 2, 2, [6]), (14, 3, 3, [12, 13]), (14, 9, 3, [12, 13])],
)
def test_six_cards_stand_on_a_page_and_a_link_beyond_the_last_opens_the_last(
    number, asked, offered, shown, monkeypatch
):
    told = []
    monkeypatch.setattr("streamlit.pagination", lambda pages, **_: told.append(pages) or asked)
    assert list(range(number)[open_page(number)]) == list(shown)
    assert told == ([] if offered is None else [offered])


def test_samples_that_are_drawn_together_are_enlarged_alike():
    changes = {"adversary_delta": np.float16([[1 / 64], [1 / 16]]), "image": np.ones((2, 1))}
    small, large = (Sample(changes, row, []) for row in (0, 1))
    assert enlargement([small, large]) == enlargement([large]) == 8
    assert enlargement([small]) == 32
    assert enlargement([]) == 1
