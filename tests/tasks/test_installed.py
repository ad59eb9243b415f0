"""What stands beside the product: packages of our names, and runs that need what is not here."""

import sys
from dataclasses import replace

import pytest

from caat_studio import place
from engine.errors import UserError
from tasks import installed
from tasks.recording.lacking import LackingError, require_known
from tasks.stored_scenario import stored_scenario

STORED = {"data": {"dataset": "digits"}, "method": {"name": "caat"}, "model": {"name": "mlp"}}


def test_the_packages_of_this_tree_are_ours():
    assert not list(place.shadowed())
    assert all(found.ok for found in installed.packages())


def test_a_folder_in_the_way_is_named_with_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "__init__.py").write_text("")
    monkeypatch.delitem(sys.modules, "db")
    monkeypatch.syspath_prepend(tmp_path)
    (told,) = place.shadowed()
    assert told.startswith(f"another 'db', {tmp_path / 'db'}, hides that of CAAT Studio in ")
    with pytest.raises(ImportError, match="another 'db'"):
        place.require_ours("db")


def test_a_distribution_that_has_a_package_of_our_name_is_named(monkeypatch):
    owners = {"engine": ["caat-studio", "Some-Engine"], "app": ["caat-studio"]}
    monkeypatch.setattr(installed, "packages_distributions", lambda: owners)
    (found,) = installed.packages()
    assert not found.ok
    assert found.text.startswith("Some-Engine has a package 'engine' too: install CAAT Studio and")


@pytest.mark.parametrize(
    ("change", "facts", "told"),
    [
        ({"method": {"name": "mine"}}, None, "has no method 'mine': install the plug-in"),
        ({"data": {"dataset": "mine"}}, {}, "has no dataset 'mine': install the plug-in"),
        (
            {"method": {"name": "mine"}, "model": {"name": "net"}},
            {"plugins": {"caat-mine": "3.1"}},
            "has no method 'mine' and no backbone 'net': pip install caat-mine==3.1 there, and res",
        ),
    ],
)
def test_a_run_of_a_plugin_that_is_not_here_says_what_to_install(change, facts, told):
    require_known(STORED, facts)
    with pytest.raises(LackingError, match=told) as refused:
        require_known({**STORED, **change}, facts)
    assert "\n" not in str(refused.value)


def test_a_job_about_a_run_of_a_plugin_that_is_gone_is_refused_in_a_line(sqlite_studio):
    run = sqlite_studio.run(sqlite_studio.queue())
    assert stored_scenario(run).method.name == run.scenario["method"]["name"]
    gone = replace(run, scenario={**run.scenario, "method": {"name": "mine"}})
    with pytest.raises(UserError, match="has no method 'mine'"):
        stored_scenario(gone)
