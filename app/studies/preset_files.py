"""Study files that come with the program; each says at its head what it is and what it costs."""

from dataclasses import dataclass
from pathlib import Path

from engine.errors import UserError

FOLDER = Path(__file__).parent / "presets"
RESULTS = Path(__file__).parent / "results" / "fashion-mnist.caat"
"""What `caat study export` wrote of the studies whose results come with the program."""


@dataclass(frozen=True)
class PresetFile:
    """One study file of the program.

    Attributes:
        name: Of the file, without its ending.
        text: The file.
    """

    name: str
    text: str

    @property
    def description(self) -> str:
        """The comment at its head, in one line."""
        lines = self.text.splitlines()
        head = lines[: next(at for at, line in enumerate(lines) if not line.startswith("#"))]
        return " ".join(line.removeprefix("#").strip() for line in head)


def preset_files() -> list[PresetFile]:
    """Return every study file of the program, by name."""
    found = sorted(FOLDER.glob("*.toml"))
    return [PresetFile(path.stem, path.read_text("utf-8")) for path in found]


def preset_file(name: str) -> PresetFile:
    """Return one by its name.

    Raises:
        UserError: There is none.
    """
    known = {preset.name: preset for preset in preset_files()}
    if name not in known:
        raise UserError(f"PRESET: {name!r} is not valid; choose {', '.join(known)}")
    return known[name]
