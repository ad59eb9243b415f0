"""What a name may hold: every letter that can be seen, nothing that only changes how others look.

A name is printed on terminals, in tables and in files. A control character, a line break, a
bidirectional override, a letter without width or a flood of marks makes it look like something
else there, so a new name with one is refused, and an old one is shown with it written out.
"""

import unicodedata
from collections.abc import Iterator

MOST_MARKS = 4
"""Marks on one letter; as many as Unicode's UTS #39 lets an identifier have."""
MOST_TOLD = 3
"""Characters that a refusal names one by one."""

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_EMOJI_STYLES = "\ufe0e\ufe0f"
_KEYCAP = "\u20e3"
_SHOWN_FORMATS = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
"""Format characters that are drawn: signs of Arabic, Syriac and Kaithi that begin a number."""
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters, marks and one symbol that leave no ink: fillers of Hangul, of Khmer and of Braille."""
_CONTROLS = {"\0": "NULL", "\t": "TAB", "\n": "LINE FEED", "\r": "CARRIAGE RETURN", "\x1b": "ESC"}
_JOINS_ON = frozenset(
    unicodedata.decomposition(chr(code)).removeprefix("<initial> ")
    for code in range(0xFB50, 0xFEFD)
    if unicodedata.decomposition(chr(code)).startswith("<initial> ")
)
"""Letters of Arabic script that join the next one, as hexadecimal numbers."""


def unseen(text: str) -> dict[int, str]:
    """Return what cannot be shown as it is: place, counted from 0 -> what stands there."""
    return dict(_unseen(text))


def visible(text: str) -> str:
    """Return the text in one line, with what cannot be shown written out, as Python writes it."""
    if text.isascii() and text.isprintable():
        return text
    places = unseen(text)
    return "".join(
        letter.encode("unicode_escape").decode() if place in places else letter
        for place, letter in enumerate(text)
    )


def nearest_name(name: str, length: int) -> str:
    """Return a stored name as a new one could be called that is made from it."""
    return visible(name)[:length]


def visible_lines(text: str) -> str:
    """As `visible`, for a text whose own lines stay lines, such as a log."""
    return "\n".join(visible(line.removesuffix("\r")) for line in text.split("\n"))


def require_name(name: str) -> str:
    """Return a name that shows all that it holds.

    Raises:
        ValueError: It does not; one line says which characters, where, and what to do.
    """
    found = unseen(name)
    if not found:
        return name
    told = [f"{what} at place {place + 1}" for place, what in found.items()][:MOST_TOLD]
    more = f" and {len(found) - len(told)} more" if len(found) > len(told) else ""
    shown = visible(name[:60]) + ("..." if len(name) > 60 else "")
    raise ValueError(
        f"'{shown}' cannot be shown as it is: {', '.join(told)}{more}; "
        f"leave {'it' if len(found) == 1 else 'them'} out"
    )


def _unseen(text: str) -> Iterator[tuple[int, str]]:
    marks, room = 0, 0
    for place, letter in enumerate(text):
        if _is_hidden(letter):
            marks = 0
            if not _is_needed(text, place):
                yield place, _called(letter)
        elif not _is_mark(letter):
            marks = 0
        else:
            room = _room_for_marks(text[place - 1 : place]) if marks == 0 else room
            marks += 1
            if marks > room:
                why = f"as mark {marks} of one letter" if room else "with no letter before it"
                yield place, f"{_called(letter)} {why}"


def _room_for_marks(before: str) -> int:
    """Return how many marks a character bears; on a space or a quote they change another text."""
    category = unicodedata.category(before) if before else ""
    return MOST_MARKS if category[:1] in ("L", "N", "M") or category == "So" else 0


def _is_hidden(letter: str) -> bool:
    """Tell whether a character leaves no ink of its own, whatever stands around it."""
    code, category = ord(letter), unicodedata.category(letter)
    return (
        category in ("Cc", "Cs", "Zl", "Zp")
        or (category == "Cf" and letter not in _SHOWN_FORMATS)
        or letter in _BLANK
        or _is_selector(code)
        or 0xFFF0 <= code <= 0xFFF8
        or 0xE0000 <= code <= 0xE0FFF
        or 0xFDD0 <= code <= 0xFDEF
        or code & 0xFFFE == 0xFFFE
        or code == 0x2065
    )


def _is_selector(code: int) -> bool:
    return 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or code in _OF_MONGOLIAN


_OF_MONGOLIAN = (0x180B, 0x180C, 0x180D, 0x180F)


def _is_mark(letter: str) -> bool:
    return unicodedata.category(letter) in ("Mn", "Me")


def _is_needed(text: str, place: int) -> bool:
    """Tell whether a character without ink changes the letter before it, as its script wants."""
    letter, before, after = text[place], text[place - 1 : place], text[place + 1 : place + 2]
    if not before:
        return False
    if letter == _ZWJ:
        drawn = text[place - 2 : place - 1] if before in _EMOJI_STYLES else before
        return _ends_conjunct(before) or (_is_emoji(drawn) and _is_emoji(after))
    if letter == _ZWNJ:
        return _ends_conjunct(before) or _parts_letters(text[:place], after)
    if letter in _EMOJI_STYLES and (_is_emoji(before) or (before in "#*0123456789")):
        return _is_emoji(before) or after == _KEYCAP
    return _is_variant(letter, before)


def _ends_conjunct(before: str) -> bool:
    """Tell whether a mark takes a letter's vowel away, in a script of India: joiners follow it."""
    return unicodedata.combining(before) == 9


def _parts_letters(before: str, after: str) -> bool:
    """Tell whether two letters of Arabic script would be joined; Persian words keep some apart."""
    if not after or unicodedata.bidirectional(after) != "AL":
        return False
    tail = before[-1 - MOST_MARKS :]
    while tail and _is_mark(tail[-1]) and not _is_hidden(tail[-1]):
        tail = tail[:-1]
    return bool(tail) and f"{ord(tail[-1]):04X}" in _JOINS_ON


def _is_emoji(letter: str) -> bool:
    """Tell whether a character is a picture, new ones of the emoji's own block among them."""
    if not letter or letter in _BLANK:
        return False
    is_picture = unicodedata.category(letter) == "So" or letter in "\u203c\u2049\u2139\u2194\u3030"
    return is_picture or 0x1F000 <= ord(letter) <= 0x1FAFF


def _is_variant(letter: str, before: str) -> bool:
    """Tell whether a selector chooses among the forms of a Chinese or a Mongolian character."""
    code = ord(letter)
    if code in _OF_MONGOLIAN:
        return 0x1820 <= ord(before) <= 0x18AA
    is_ideograph = unicodedata.name(before, "").startswith("CJK ")
    return is_ideograph and (0xFE00 <= code <= 0xFE02 or 0xE0100 <= code <= 0xE01EF)


def _called(letter: str) -> str:
    name = unicodedata.name(letter, "") or _CONTROLS.get(letter, "")
    return f"U+{ord(letter):04X} {name}".rstrip()
