"""Named plug-ins: the registry is the menu, the validator and the test matrix."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from engine.config import Section

ConfigT = TypeVar("ConfigT", bound=Section)


class Registry(Generic[ConfigT]):
    """Configuration classes by name; the name is the default of the class's ``name`` field.

    Used inside ``Annotated`` it validates a table by its ``name`` key, so that a plug-in's own
    fields stand beside its name in a scenario file. ``alias`` is a second word for that key.
    """

    def __init__(self, kind: str, default: str, alias: str = "name") -> None:
        self.kind, self.default, self.alias = kind, default, alias
        self._entries: dict[str, type[ConfigT]] = {}

    def register(self, config: type[ConfigT]) -> type[ConfigT]:
        name = config.model_fields["name"].default
        if name in self._entries:
            raise ValueError(f"two {self.kind}s are called {name!r}")
        self._entries[name] = config
        return config

    def names(self) -> list[str]:
        return sorted(self._entries)

    def __getitem__(self, name: str) -> type[ConfigT]:
        return self._entries[name]

    def __iter__(self) -> Iterator[type[ConfigT]]:
        return (self._entries[name] for name in self.names())

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        choices = {name: handler.generate_schema(self._entries[name]) for name in self.names()}
        tables = core_schema.tagged_union_schema(choices, discriminator=self._name_of)
        return core_schema.no_info_before_validator_function(self._named, tables)

    def _named(self, value: Any) -> Any:
        if isinstance(value, dict) and self.alias in value and "name" not in value:
            return {"name" if key == self.alias else key: v for key, v in value.items()}
        return value

    def _name_of(self, value: Any) -> Any:
        if isinstance(value, Section):
            return getattr(value, "name", None)
        return value.get("name", self.default) if isinstance(value, dict) else None


def import_plugins(package: str) -> None:
    """Import a package's modules, so that each registers itself; a `_name` is a shared part."""
    folder = importlib.import_module(package)
    for module in pkgutil.iter_modules(folder.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{package}.{module.name}")
