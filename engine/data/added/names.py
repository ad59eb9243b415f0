"""What classes may be called."""

from collections.abc import Iterable, Sequence

from engine.data.added.limits import FEWEST_CLASSES, LONGEST_NAME, MOST_CLASSES
from engine.data.added.refusal import Refused
from engine.names import require_name


def class_names(names: Sequence[str], where: str) -> tuple[str, ...]:
    """Return names that classes may have, in their order.

    Raises:
        Refused: There are too few or too many, two are alike, or one cannot be shown.
    """
    if not FEWEST_CLASSES <= len(names) <= MOST_CLASSES:
        what = "class" if len(names) == 1 else "classes"
        raise Refused(
            where, f"has {len(names):,} {what}; allowed: {FEWEST_CLASSES} to {MOST_CLASSES:,}"
        )
    seen: dict[str, str] = {}
    for name in names:
        _require_showable(name, where)
        twin = seen.setdefault(name.casefold(), name)
        if twin != name:
            raise Refused(
                where, f"classes {twin!r} and {name!r} differ in upper and lower case only"
            )
    if len(seen) < len(names):
        double = next(name for name in names if list(names).count(name) > 1)
        raise Refused(where, f"two classes are called {double!r}")
    return tuple(names)


def _require_showable(name: str, where: str) -> None:
    if not name.strip() or len(name) > LONGEST_NAME:
        raise Refused(
            where, f"a class is called {name[:40]!r}; allowed: 1 to {LONGEST_NAME} characters"
        )
    try:
        require_name(name)
    except ValueError as error:
        raise Refused(where, f"the class {error}") from None


def numbered(number: int, where: str) -> tuple[str, ...]:
    """Return names of classes that have numbers only."""
    return class_names([str(index) for index in range(number)], where)


def in_order(names: Iterable[str]) -> list[str]:
    """Return names as a person would order them: numbers by size."""
    distinct = set(names)
    if all(name.isascii() and name.isdecimal() for name in distinct):
        return sorted(distinct, key=lambda name: (int(name), name))
    return sorted(distinct)
