"""Write docs/reference.md: every field of a scenario and every setting, as the program has them.

python docs/write_reference.py
"""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.forms.fields import Place, places
from app.scenario.toml_out import in_words
from engine.attacks.base import ATTACKS
from engine.empty import empty_of
from engine.mistakes import allowed_values
from engine.scenario import Scenario
from engine.theory.mixture import Setting
from tasks.settings import Settings

PAGE = Path(__file__).parent / "reference.md"
HEAD = """# Every field and every setting

    python docs/write_reference.py

Written by the command from what the program reads. [scenario.md](scenario.md) says which fields
must go together.

## A scenario
"""
ATTACK_HEAD = """
## An attack of an evaluation

The radius and the norm are the run's own unless `caat evaluate` is told others.
"""
THEORY_HEAD = """
## A question to the theory
"""
SETTINGS_HEAD = """
## Settings

Environment variables, or lines of a `.env`; `caat doctor` shows what is in force.
"""
ROWS = "\n| {name} | default | allowed | meaning |\n| --- | --- | --- | --- |\n"


def written() -> str:
    """Return the page as it is of today's program."""
    attacks = "".join(_table(f"attack {name}", model) for name, model in ATTACKS.all().items())
    settings = "".join(
        _row(f"CAAT_{name.upper()}", info, allowed_values(info))
        for name, info in Settings.model_fields.items()
    )
    return (
        HEAD
        + "".join(_tables(Scenario, "", ""))
        + (ATTACK_HEAD + attacks)
        + (THEORY_HEAD + _table("question", Setting))
        + (SETTINGS_HEAD + ROWS.format(name="variable") + settings)
    )


def _tables(model: type[BaseModel], path: str, title: str) -> Iterator[str]:
    """Yield the fields of a table of a scenario, and then the tables in it."""
    yield _table(title or "before the first table", model, path)
    for place in places(model, path, ""):
        if place.registry is not None:
            for name, plugin in place.registry.all().items():
                chosen = ", the default" if name == place.registry.default else ""
                title = f'[{place.path}] with `name = "{name}"`{chosen}'
                yield from _tables(plugin, place.path, title)
        elif place.kind == "section":
            yield from _tables(place.model, place.path, f"[{place.path}]")


def _table(title: str, model: type[BaseModel], path: str = "") -> str:
    rows = [_row(place.name, place.info, _allowed(place)) for place in _values(model, path)]
    return f"\n### {title}\n{ROWS.format(name='field')}{''.join(rows)}" if rows else ""


def _values(model: type[BaseModel], path: str) -> Iterator[Place]:
    """Yield the fields that hold a value; a plug-in's name stands in its title."""
    for place in places(model, path, ""):
        is_title = place.name == "name" and place.kind == "choice"
        if place.kind not in ("section", "plugin") and not is_title:
            yield place


def _allowed(place: Place) -> str:
    return ", ".join(place.options) if place.kind == "choice" else allowed_values(place.info)


def _row(name: str, info: FieldInfo, allowed: str) -> str:
    kind = "yes or no" if info.annotation is bool else "text"
    cells = f"`{name}`", _default(name, info), allowed or kind, info.description
    return f"| {' | '.join(map(str, cells))} |\n"


def _default(name: str, info: FieldInfo) -> str:
    """Say what stands for a field that is left out."""
    empty = empty_of(info)
    if info.default_factory is not None:
        return "follows `CAAT_DATA_DIR`"
    if info.default is None:
        return empty.means if empty else "none"
    return in_words(name, info.default)


if __name__ == "__main__":
    PAGE.write_text(written())
