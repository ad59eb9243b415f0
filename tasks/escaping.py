"""A text for each format that shows it letter by letter: nothing in it is read as an instruction.

Every name, message and label of a person or a plug-in passes one of these on its way out. Each
first writes out what cannot be seen (`engine.names.visible`), so the result is one line.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.names import unseen, visible, visible_lines

if TYPE_CHECKING:
    import pandas as pd

for_terminal = visible


def for_json(value: Any) -> str:
    """Return a value as JSON in ASCII, without the one control character that JSON leaves bare."""
    return json.dumps(value, allow_nan=False).replace("\x7f", "\\u007f")


def for_html(text: str) -> str:
    """Return the text for an element or a quoted attribute of HTML."""
    return html.escape(visible(text))


def lines_for_html(text: str) -> str:
    """As `for_html`, for what keeps its own lines: code."""
    return html.escape(visible_lines(text))


def for_plotly(text: object) -> str:
    """Return the text for Plotly, which reads a few HTML tags, ``%{...}`` and ``$TeX$``."""
    safe = html.escape(visible(str(text)), quote=False)
    return safe.replace("%{", "%&#123;").replace("$", "&#36;")


_STREAMLIT = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$&^=:])")
_READ_LATE = re.compile(
    r":(?=[\w+/-]+:)|(?<=:/)/|www(?=\.)|@|-(?=[->])|<(?=[-=])|[>~](?==)", re.IGNORECASE
)


def for_streamlit(text: str) -> str:
    """Return the text for Streamlit's Markdown; its whitespace is one space each."""
    return _streamlit(_one_line(text))


def explained_for_streamlit(text: str) -> str:
    """As `for_streamlit`, for the program's own words: what stands between backticks is code."""
    line = _one_line(text)
    parts = line.split("`")
    if len(parts) % 2 == 0:
        return _streamlit(line)
    return "".join(f"`{part}`" if odd % 2 else _streamlit(part) for odd, part in enumerate(parts))


def _one_line(text: str) -> str:
    return " ".join(visible(re.sub(r"[ \t\r\n]+", " ", text)).split())


def _streamlit(text: str) -> str:
    # Icons, emoji, arrows and bare links are found after escapes are read: a word joiner breaks
    # them.
    return _STREAMLIT.sub(r"\\\1", _READ_LATE.sub("\\g<0>\u2060", text))


_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>|$#~&!:@^=]|\.(?=[^\W\d])")
_LIST = re.compile(r"^(\s*)(?=[+-])|^(\s*\d+)(?=[.)])")


def for_markdown(text: str) -> str:
    """Return the text for a Markdown file (CommonMark and GitHub's), also for a table's cell."""
    escaped = _MARKDOWN.sub(r"\\\g<0>", visible(text))
    return _LIST.sub(r"\g<0>\\", escaped)


_LATEX = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "#$%&_{}"},
        "\\": "\\textbackslash{}",
        "^": "\\textasciicircum{}",
        "~": "\\textasciitilde{}",
        "<": "\\textless{}",
        ">": "\\textgreater{}",
        "|": "\\textbar{}",
        '"': "\\symbol{34}",
        "`": "\\textasciigrave{}",
        "±": "\\textpm{}",
        "ε": "\\ensuremath{\\varepsilon}",
    }
)
_LIGATURE = re.compile(r"(?<=[-',?!])(?=[-',])")
"""Two of these are drawn as one other sign."""


def for_latex(text: str) -> str:
    """Return the text for LaTeX, outside of mathematics and of verbatim."""
    parts = _LIGATURE.split(visible(text))
    escaped = "{}".join(part.translate(_LATEX) for part in parts)
    # At the start of a table's row these would belong to the command that ended the row before.
    return f"{{{escaped[0]}}}{escaped[1:]}" if escaped[:1] in ("[", "*") else escaped


def comment_for_latex(text: str) -> str:
    """Return the text as a comment of LaTeX: one line, whatever it holds."""
    return f"% {visible(text)}"


_FORMULA = re.compile(r"'*\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def for_csv(text: str) -> str:
    """Return the text for a cell of CSV, which a spreadsheet then never takes for a formula.

    Source: OWASP, CSV injection: such a cell begins with an apostrophe. So does one that begins
    with apostrophes and goes on like a formula; thus taking one apostrophe away from what matches
    gives the text back.
    """
    shown = visible(text)
    return f"'{shown}" if _FORMULA.match(shown) else shown


def frame_for_csv(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose text, that of its heads too, is ready for CSV; numbers stay numbers."""
    return _each_text(table, for_csv)


def frame_for_page(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose text shows all that it holds."""
    return _each_text(table, visible)


def _each_text(table: pd.DataFrame, escaped: Any) -> pd.DataFrame:
    def tame(value: Any) -> Any:
        return escaped(value) if isinstance(value, str) else value

    words = table.select_dtypes(exclude=["number", "bool", "datetime", "datetimetz", "timedelta"])
    columns: Mapping[str, Any] = {str(name): words[name].map(tame) for name in words}
    return table.assign(**columns).rename(columns=tame)


_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)$", re.IGNORECASE)


def as_file_name(text: str, ending: str, most: int = 60) -> str:
    """Return a name for a download, which no system takes for a path, a device or a hidden file."""
    kept = [
        letter if unicodedata.category(letter)[0] in "LMN" or letter in "-_" else "-"
        for letter in visible(unicodedata.normalize("NFC", text))
    ]
    stem = "".join(kept)[:most]
    while hidden := unseen(stem):  # what a letter that is gone now had made visible
        stem = "".join("-" if place in hidden else letter for place, letter in enumerate(stem))
    stem = stem.strip("-") or "table"
    return f"{stem}-{ending}.{ending}" if _RESERVED.match(stem) else f"{stem}.{ending}"
