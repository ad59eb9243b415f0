"""Named plug-ins, one a file: the registry is the menu, the validator and the test matrix."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from engine.config import Section

EntryT = TypeVar("EntryT")
ConfigT = TypeVar("ConfigT", bound=Section)


class Table(Generic[EntryT]):
    """What the files of a package have registered, by name; they are read at the first look.

    A file whose name begins with ``_`` is a part that others share, and is not read.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self._entries: dict[str, EntryT] = {}
        self._is_read = False

    def add(self, name: str, entry: EntryT) -> None:
        """Put an entry on the menu.

        Raises:
            ValueError: The name is taken.
        """
        if name in self._entries:
            raise ValueError(f"two {self.kind}s are called {name!r}")
        self._entries[name] = entry

    def all(self) -> dict[str, EntryT]:
        """Return every entry, in the order of the names."""
        if not self._is_read:
            self._is_read = True  # first: a file may look itself
            folder = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(folder.__path__):
                if not module.name.startswith("_"):
                    importlib.import_module(f"{self.package}.{module.name}")
        return dict(sorted(self._entries.items()))


class Registry(Table[type[ConfigT]]):
    """Configuration classes by name; the name is the default of the class's ``name`` field.

    Used inside ``Annotated`` it validates a table by its ``name`` key, so that a plug-in's own
    fields stand beside its name in a scenario file. ``alias`` is a second word for that key.
    """

    def __init__(self, kind: str, package: str, *, default: str, alias: str = "name") -> None:
        super().__init__(kind, package)
        self.default, self.alias = default, alias

    def register(self, config: type[ConfigT]) -> type[ConfigT]:
        """Class decorator: put a configuration on the menu."""
        self.add(config.model_fields["name"].default, config)
        return config

    def names(self) -> list[str]:
        return list(self.all())

    def __getitem__(self, name: str) -> type[ConfigT]:
        return self.all()[name]

    def __iter__(self) -> Iterator[type[ConfigT]]:
        return iter(self.all().values())

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        choices = {name: handler.generate_schema(config) for name, config in self.all().items()}
        tables = core_schema.tagged_union_schema(choices, discriminator=self._name_of)
        return core_schema.no_info_before_validator_function(self._named, tables)

    def _named(self, value: Any) -> Any:
        if isinstance(value, dict) and self.alias in value and "name" not in value:
            value = {"name" if key == self.alias else key: v for key, v in value.items()}
        name = value.get("name") if isinstance(value, dict) else None
        return {**value, **self.in_two(name)} if isinstance(name, str) else value

    def in_two(self, name: str) -> dict[str, str]:
        """Split ``torchvision:resnet18`` into the name of an entry and its architecture."""
        entry, colon, architecture = name.partition(":")
        if colon and entry in self.all() and "architecture" in self[entry].model_fields:
            return {"name": entry, "architecture": architecture}
        return {"name": name}

    def _name_of(self, value: Any) -> Any:
        if isinstance(value, Section):
            return getattr(value, "name", None)
        return value.get("name", self.default) if isinstance(value, dict) else None
