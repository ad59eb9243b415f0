"""The programmes, in the order of the page."""

from benchmarks.fault.frame import Programme

PROGRAMMES: tuple[Programme, ...] = ()


def name_of(programme: Programme) -> str:
    """Return what a programme is called on the command line."""
    return programme.__name__.removeprefix("benchmarks.fault.")
