"""How the pages write numbers, shares and times."""

from datetime import UTC, datetime

NOTHING = "–"  # noqa: RUF001 - an en dash stands for "no value"


def value(name: str, number: float) -> str:
    """Write one value of a quantity; bounds are in 255ths, as everywhere."""
    return f"{255 * number:.1f}/255" if name == "bound" else f"{number:.3g}"


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share of 1 in percent; nothing where there is no number."""
    if share is None or share != share:  # NaN is the only number unlike itself
        return NOTHING
    return f"{100 * share:.{digits}f} %"


def points(difference: float, digits: int = 0) -> str:
    """Write a difference of two shares in percentage points, with its sign."""
    return f"{100 * difference:+.{digits}f} points"


def count(number: int, one: str, many: str | None = None) -> str:
    """Write ``1 run``, ``12 runs``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Write a length of time in its two largest units: ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 else f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def now() -> datetime:
    return datetime.now(UTC)


def ago(moment: datetime | None) -> str:
    """Write how long ago a moment in UTC was."""
    if moment is None:
        return NOTHING
    seconds = (now() - moment).total_seconds()
    return "just now" if seconds < 2 else f"{duration(seconds)} ago"


def eta_seconds(started_at: datetime | None, progress: float, before: float = 0.0) -> float | None:
    """Return the seconds that remain at the pace so far; None while it is too early to say.

    Args:
        started_at: When the attempt in work began.
        progress: Share of all steps done by now.
        before: The share that was done when the attempt began.
    """
    done, to_do = progress - before, 1 - before
    if started_at is None or done <= 0 or done < 0.02 * to_do:
        return None
    elapsed = (now() - started_at).total_seconds()
    return elapsed / done * (1 - progress)
