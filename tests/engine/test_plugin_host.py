"""Plug-ins of installed distributions: what is well is on the menu, what is broken is a line."""

import json
import sys
from importlib.metadata import EntryPoint, EntryPoints
from types import SimpleNamespace

import pytest

from engine import plugin_host
from engine.attacks.base import ATTACKS
from engine.data.datasets.base import DATASETS
from engine.methods.base import METHODS
from engine.models.backbones.base import BACKBONES
from engine.plugin_host import load
from engine.scenario import Scenario
from tasks import installed

HEAD = """
from typing import ClassVar, Literal
from caat_studio.plugins import *
from pydantic import Field
"""
METHOD = """
class Config(MethodConfig):
    "Ours (2026)"
    name: Literal["{name}"] = "{name}"
    paper: ClassVar[str] = "2026"
    assigns: ClassVar[str] = "a = 1"
    {field}
    def build(self, learner):
        raise NotImplementedError
"""
DATASET = """
class Config(Dataset):
    name, title, class_names = "own", "Own", {names}
    channels = size = 4
    train_counts = test_counts = {counts}
    held_out_per_class = {held}
    def load(self, folder):
        raise NotImplementedError
"""
FACTS = {"names": ("a", "b"), "counts": (9, 9), "held": 2}


@pytest.fixture
def plugged(tmp_path, monkeypatch):
    """Offer the class of a module's text to a menu, and return what came of it."""
    monkeypatch.syspath_prepend(tmp_path)
    menus = {"method": METHODS, "dataset": DATASETS, "backbone": BACKBONES, "attack": ATTACKS}
    for menu in menus.values():
        monkeypatch.setattr(menu, "_entries", menu.all().copy())

    def offer(kind, text, target="Config"):
        (tmp_path / "mine_plugin.py").write_text(text)
        monkeypatch.delitem(sys.modules, "mine_plugin", raising=False)
        point = EntryPoint("mine", f"mine_plugin:{target}", f"caat_studio.{kind}s")
        vars(point).update(dist=SimpleNamespace(name="caat-mine", version="3.1"))
        monkeypatch.setattr(plugin_host, "_installed", lambda kind: EntryPoints([point]))
        menu = menus[kind]
        monkeypatch.setattr(menu, "_plugins", load(kind, menu._accept))
        (plugin,) = menu.plugins()
        return plugin

    return offer


def method(name="mine", field=""):
    return HEAD + METHOD.format(name=name, field=field)


def test_a_method_of_another_distribution_is_one_of_the_menu_and_its_version_is_told(plugged):
    plugin = plugged("method", method())
    assert (plugin.name, plugin.problem) == ("mine", None)
    assert "mine" in METHODS.names()
    assert METHODS.origin("mine") == {"caat-mine": "3.1"}
    assert METHODS.origin("trades") == {}
    (found,) = installed.plugins()
    assert (found.ok, found.title) == (True, "plug-in method mine")


def test_a_scenario_tells_the_plugins_that_its_numbers_depend_on(plugged):
    assert Scenario().plugins() == {}
    plugged("dataset", HEAD + DATASET.format(**FACTS))
    scenario = Scenario.model_validate({"data": {"dataset": "own"}})
    assert scenario.plugins() == {"caat-mine": "3.1"}
    json.dumps(scenario.plugins())


BROKEN = {
    "import": ("method", "import no_such_module", "its import fails: ModuleNotFoundError"),
    "syntax": ("method", "class", "its import fails: SyntaxError"),
    "exit": ("method", "raise SystemExit(3)", "its import fails: SystemExit: 3"),
    "quit": ("method", "exit()", "its import fails: SystemExit"),
    "no class": ("method", "", "its import fails: AttributeError"),
    "wrong class": ("method", "class Config: ...", "is no subclass of MethodConfig"),
    "an instance": ("method", "Config = 3", "3 is no subclass of MethodConfig"),
    "taken": ("method", method("trades"), "the name 'trades' is taken"),
    "hostile": ("method", method("<b>, x"), "the name '<b>, x' is not valid"),
    "abstract": ("method", method().replace("def build", "def built"), "made of its defaults"),
    "required": ("method", method(field="beta: float = Field(description='b')"), "beta: Field req"),
    "default": (
        "method",
        method(field="beta: float = Field(-1, ge=0, description='b')"),
        "beta: Input should be greater than or equal to 0",
    ),
    "no meaning": ("method", method(field="beta: float = 1"), "field 'beta' has no description"),
    "no name": ("backbone", HEAD + "class Config(BackboneConfig): ...", "it has no name"),
    "other kind": ("attack", method(), "is no subclass of EvaluationAttack"),
    "one class": ("dataset", HEAD + DATASET.format(**FACTS | {"names": ("a",)}), "class_names"),
    "counts": ("dataset", HEAD + DATASET.format(**FACTS | {"counts": (9,)}), "train_counts"),
    "held": ("dataset", HEAD + DATASET.format(**FACTS | {"held": 5}), "held_out_per_class"),
    "silent": ("dataset", HEAD + "class Config(Dataset):\n  load = None", "does not say its"),
}


@pytest.mark.parametrize(("kind", "text", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_a_line_and_everything_else_goes_on(kind, text, told, plugged):
    names = {menu: list(menu.all()) for menu in (METHODS, DATASETS, BACKBONES, ATTACKS)}
    plugin = plugged(kind, text)
    assert told in plugin.problem
    assert "\n" not in plugin.problem
    for menu, before in names.items():
        assert list(menu.all()) == before
    (found,) = installed.plugins()
    assert not found.ok
    assert found.text.startswith("caat-mine 3.1, mine_plugin:Config is left out: ")
    assert found.text.endswith("uninstall caat-mine")


def test_an_import_without_an_end_is_given_up(plugged, monkeypatch):
    monkeypatch.setattr(plugin_host, "PATIENCE", 0.3)
    plugin = plugged("method", "import time\ntime.sleep(2)")
    assert "did not end in 0 seconds" in plugin.problem


def test_a_slow_import_is_told_and_how_it_becomes_fast(plugged, monkeypatch):
    monkeypatch.setattr(plugin_host, "SLOW", 0.0)
    monkeypatch.setattr(installed, "SLOW", 0.0)
    assert plugged("method", method()).problem is None
    (found,) = installed.plugins()
    assert found.ok
    assert "for which every command waits" in found.text


def test_a_plugin_may_look_at_the_menu_while_it_is_read(plugged):
    looks = "\nassert 'trades' in METHODS.names()"
    assert plugged("method", method() + looks).problem is None
