"""What a name may hold, sign by sign: emoji that are joined, and marks that have a letter."""

import pytest

from engine.names import require_name, visible

SCIENTIST = "\U0001f469\U0001f3fd\u200d\U0001f52c"
"""A woman, her skin's tone (no picture by itself), a joiner and a microscope."""
HEART_ON_FIRE = "\u2764\ufe0f\u200d\U0001f525"
"""A heart, the sign that asks for its picture, a joiner and a flame."""


@pytest.mark.parametrize("before", ["", "a", "my ", "\U0001f525"], ids=ascii)
@pytest.mark.parametrize("emoji", [SCIENTIST, HEART_ON_FIRE], ids=["scientist", "heart on fire"])
def test_an_emoji_of_several_pictures_is_one_wherever_it_stands(emoji, before):
    assert require_name(before + emoji) == visible(before + emoji) == before + emoji


@pytest.mark.parametrize("joined", ["a\u200d\U0001f52c", "a\ufe0f\u200d\U0001f52c"], ids=ascii)
def test_a_letter_is_not_joined_to_a_picture(joined):
    with pytest.raises(ValueError, match=r"U\+200D ZERO WIDTH JOINER"):
        require_name(joined)


@pytest.mark.parametrize("before", ["", " ", '"', "-"])
def test_a_mark_without_a_letter_is_refused_as_such(before):
    with pytest.raises(ValueError, match="U\\+0301 COMBINING ACUTE ACCENT with no letter before"):
        require_name(f"{before}\u0301")


def test_a_letter_bears_four_marks_and_the_fifth_is_told_by_its_number():
    assert require_name("e" + 4 * "\u0301")
    with pytest.raises(ValueError, match="at place 6") as refused:
        require_name("e" + 5 * "\u0301")
    assert "U+0301 COMBINING ACUTE ACCENT as mark 5 of one letter" in str(refused.value)


@pytest.mark.parametrize("block", ["\U0001f000", "\U0001fae9", "\U0001faff"], ids=ascii)
def test_a_picture_that_is_younger_than_this_python_is_one_too(block):
    joined = f"{block}\u200d\U0001f52c"
    assert require_name(joined) == joined


@pytest.mark.parametrize("beyond", ["\U0001efff", "\U0001fbcb"], ids=ascii)
def test_what_lies_beside_the_pictures_is_none(beyond):
    with pytest.raises(ValueError, match=r"U\+200D"):
        require_name(f"{beyond}\u200d\U0001f52c")
