"""The programmes, in the order of the page."""

from typing import cast

from tests.faults import (
    broker,
    checkpoint,
    commands,
    deliveries,
    drain,
    jobs,
    kills,
    migrations,
    outage,
    persistence,
    takeovers,
)
from tests.faults.frame import Programme

PROGRAMMES = tuple(
    cast(Programme, programme)
    for programme in (
        kills,
        jobs,
        drain,
        deliveries,
        broker,
        outage,
        checkpoint,
        takeovers,
        commands,
        migrations,
        persistence,
    )
)


def name_of(programme: Programme) -> str:
    """Return what a programme is called on the command line."""
    return programme.__name__.removeprefix("tests.faults.")
