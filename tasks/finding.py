"""What one look at an installation found."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """What was looked at, whether it is well, and what was seen or what to do.

    Attributes:
        part: What was looked at: ``database``.
        ok: Whether it is well.
        text: What was seen or what to do, in one sentence.
        of: Which one, of a part that there are several of: the dataset.
        facts: What the text lists, by name.
    """

    part: str
    ok: bool
    text: str
    of: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The part, and which one: ``data digits``."""
        return f"{self.part} {self.of}".strip()

    def as_json(self) -> dict[str, object]:
        """Return what ``caat doctor --json`` prints of it."""
        return {"part": self.title, "ok": self.ok, "text": self.text}


Look = Callable[[], Iterator[Finding]]
"""Looks at one part."""
