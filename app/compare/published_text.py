"""What papers printed, as text to stand below a study's table, never in it."""

from collections.abc import Callable, Mapping, Sequence

from app.compare.measures import DIGITS, MEASURES
from app.compare.published import PUBLISHED, published
from app.compare.study import StudyTable
from app.compare.study_text import html_table, latex_comment, latex_table, markdown_lines
from tasks.escaping import for_html, for_latex, for_markdown

NOTE = (
    "Published for CIFAR-10, l-infinity, 8/255: errors in percent as their authors printed them. "
    "Network, attack, weights and split differ between sources and from the tables above: read "
    "them beside, never in one ranking."
)
_HEADS = ["Method", *(MEASURES[name].head for name in PUBLISHED), "Attack and network", "Source"]


def _rows(tables: Sequence[StudyTable], escaped: Callable[[str], str]) -> list[list[str]]:
    rows = published({method for table in tables for method in table.rows["method"]})
    return [
        [
            escaped(row["title"]),
            *(f"{100 * row[name]:.{DIGITS}f}" for name in PUBLISHED),
            escaped(row["protocol"]),
            escaped(row["source"]),
        ]
        for row in rows.to_dict("records")
    ]


def _markdown(tables: Sequence[StudyTable]) -> str:
    return f"\n{NOTE}\n\n{markdown_lines(_HEADS, _rows(tables, for_markdown))}\n"


def _latex(tables: Sequence[StudyTable]) -> str:
    body = latex_table(_HEADS, _rows(tables, for_latex), "", words=2)
    return f"\n{latex_comment(NOTE)}\n{body}"


def _html(tables: Sequence[StudyTable]) -> str:
    return f"<p>{for_html(NOTE)}</p>\n{html_table(_HEADS, _rows(tables, for_html))}\n"


PUBLISHED_FORMATS: Mapping[str, Callable[[Sequence[StudyTable]], str]] = {
    "markdown": _markdown,
    "latex": _latex,
    "html": _html,
}
"""What can hold words; CSV and JSON are for programs, and hold one table."""
