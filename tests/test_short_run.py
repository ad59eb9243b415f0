"""What the short run leaves out, and what it never does."""

from tests.short_run import CHEAP, DEAR, left_out

SECONDS = {
    "a.py::test_both[sqlite]": 3.0,
    "a.py::test_both[postgresql]": 5.0,
    "a.py::test_both[none]": CHEAP,
    "a.py::test_alone": DEAR,
    "a.py::test_dear[one]": DEAR + 1,
    "a.py::test_dear[two]": DEAR + 2,
    "b.py::test_both[sqlite]": 9.0,
}


def test_each_rule_keeps_its_cheapest_setting_and_every_one_that_costs_nothing():
    out = left_out(SECONDS | {"b.py::test_both[postgresql]": 8.0})
    assert out & {name for name in SECONDS if "both" in name} == {
        "a.py::test_both[sqlite]",
        "a.py::test_both[postgresql]",
        "b.py::test_both[sqlite]",
    }


def test_a_rule_without_settings_is_left_out_only_if_it_is_dear():
    assert "a.py::test_alone" not in left_out(SECONDS)
    assert {"a.py::test_dear[one]", "a.py::test_dear[two]"} <= left_out(SECONDS)


def test_a_test_that_was_never_timed_runs():
    assert left_out({}) == set()
