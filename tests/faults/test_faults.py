"""A small share of every fault programme; `python benchmarks/faults.py` runs all of it."""

import pytest

from benchmarks.fault.frame import Plan
from benchmarks.fault.registry import PROGRAMMES, name_of

LONG = ("kills", "drain", "deliveries", "outage", "commands")
"""They take half a minute each: `pytest -m long`."""
CASES = [
    pytest.param(
        programme,
        kind,
        id=f"{name_of(programme)}-{kind}",
        marks=[pytest.mark.long] if name_of(programme) in LONG else [],
    )
    for programme in PROGRAMMES
    for kind in ("sqlite", "postgresql")
]


@pytest.mark.parametrize(("programme", "kind"), CASES)
def test_a_part_of_the_fault_programme_meets_every_target(programme, kind, data_dir, request):
    database = request.getfixturevalue(f"{kind}_database")
    share = getattr(programme, "SHARE_IN_TESTS", 0.1)
    url = database.url.render_as_string(hide_password=False)
    figures = programme.measure(Plan(0, share, kind, data_dir, url))
    assert figures
    for figure in figures:
        assert figure.ok, f"{figure.what}: {figure.found}; target: {figure.target}"
