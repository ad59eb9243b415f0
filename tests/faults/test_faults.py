"""A thirtieth of every fault programme, on the databases by turns.

`python benchmarks/faults.py` runs all of it, on both.
"""

import itertools

import pytest

from tests.faults.frame import Plan
from tests.faults.registry import PROGRAMMES, name_of

KINDS = itertools.cycle(["sqlite", "postgresql"])
CELLS = [
    pytest.param(kind, programme, id=f"{name_of(programme)}-{kind}")
    for programme, kind in zip(PROGRAMMES, KINDS, strict=False)
]


@pytest.mark.parametrize(("kind", "programme"), CELLS)
def test_a_thirtieth_of_the_fault_programme_meets_every_target_but_those_of_time(
    programme, kind, data_dir, request
):
    database = request.getfixturevalue(f"{kind}_database")
    url = database.url.render_as_string(hide_password=False)
    figures = programme.measure(Plan(0, 1 / 30, kind, data_dir, url))
    judged = [figure for figure in figures if not figure.timed]
    assert judged
    for figure in judged:
        assert figure.ok, f"{figure.what}: {figure.found}; target: {figure.target}"
