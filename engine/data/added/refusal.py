"""How what is wrong with something that is to be added is told: where, and which rule."""

from engine.errors import UserError


class Refused(UserError):  # noqa: N818 - says what happened, as Stopped does
    """What was to be added cannot be; nothing of it is kept."""

    def __init__(self, where: object, rule: str) -> None:
        """Name the file, with the member or the row, and what it would have to be."""
        super().__init__(f"{where}: {rule}")
        self.where, self.rule = str(where), rule


def told(number: float) -> str:
    """Write a number of bytes."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f} bytes"
