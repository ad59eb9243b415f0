import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from db.snapshot import decode, encode

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6)
VECTORS = st.sampled_from(["f4", "f8", "i8", "i4", "u1", "f2", "?"])
IMAGES = st.sampled_from(["u1", "f2", "f4", "i8"])


@st.composite
def columns(draw):
    num_rows = draw(st.integers(0, 30))
    found = {}
    for name in draw(st.lists(st.text("abc_", min_size=1, max_size=5), max_size=5, unique=True)):
        kind = draw(st.sampled_from(["vector", "images", "words"]))
        if kind == "words":
            words = draw(st.lists(WORDS, min_size=num_rows, max_size=num_rows))
            found[name] = np.array(words, dtype=str)
        else:
            shape = (num_rows,)
            if kind == "images":
                shape += draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
            found[name] = draw(hnp.arrays(VECTORS if kind == "vector" else IMAGES, shape))
    return found


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


@given(columns())
@settings(deadline=None)
def test_what_is_decoded_is_what_was_encoded_to_the_last_bit(given_columns):
    found = decode(encode(given_columns))
    assert list(found) == list(given_columns)
    for name, expected in given_columns.items():
        assert_same(found[name], expected)
        assert found[name].flags.writeable


def test_special_floats_keep_their_bits():
    bits = np.array([0x7FC00000, 0x7F800001, 0xFF800000, 0x80000000, 1, 0x33800000], "u4")
    assert_same(decode(encode({"x": bits.view("f4")}))["x"], bits.view("f4"))


def test_a_view_of_other_memory_is_stored_as_what_it_shows():
    table = np.arange(24.0).reshape(6, 4)
    images = np.arange(96, dtype="u1").reshape(4, 6, 4).transpose(1, 2, 0)
    found = decode(encode({"every_second": table[:, ::2], "first": table[:, 0], "images": images}))
    assert (found["every_second"] == table[:, ::2]).all()
    assert (found["first"] == table[:, 0]).all()
    assert (found["images"] == images).all()


def test_only_the_wanted_columns_are_returned_as_far_as_they_are_there():
    data = encode({"bound": np.zeros(3), "loss": np.ones(3)})
    assert list(decode(data, ["loss", "entropy"])) == ["loss"]


@pytest.mark.parametrize(
    "array", [np.array([object()]), np.array([1j]), np.array([1.0], ">f4"), np.array([["a"]])]
)
def test_what_cannot_be_given_back_is_refused(array):
    with pytest.raises(TypeError, match=r"column 'x': a snapshot does not hold"):
        encode({"x": array})


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="one row a sample"):
        encode({"x": np.zeros(3), "y": np.zeros(4)})
    with pytest.raises(ValueError, match="one row a sample"):
        encode({"x": np.array(1.0)})


def test_even_noise_of_sixty_thousand_samples_takes_less_than_its_own_bytes():
    random = np.random.default_rng(0)
    found = {f"column_{place}": random.random(60_000, "f4") for place in range(10)}
    assert len(encode(found)) < 2_100_000  # of 2,400,000 bytes
