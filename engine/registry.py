"""Named plug-ins, one a file: the registry is the menu, the validator and the test matrix."""

import importlib
import pkgutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from pydantic import GetCoreSchemaHandler, PydanticUserError, ValidationError
from pydantic_core import CoreSchema, core_schema

from engine.config import Section
from engine.plugin_host import Plugin, UnfitError, is_importing, load, require_name

EntryT = TypeVar("EntryT")
ConfigT = TypeVar("ConfigT", bound=Section)


class Table(Generic[EntryT]):
    """What the files of a package have registered, by name; they are read at the first look.

    A file whose name begins with ``_`` is a part that others share, and is not read. Where there is
    a ``base``, installed distributions add to it: see `engine.plugin_host`.
    """

    def __init__(self, kind: str, package: str, *, base: type | None = None) -> None:
        self.kind, self.package, self.base = kind, package, base
        self._entries: dict[str, EntryT] = {}
        self._plugins: list[Plugin] = []
        self._is_read = self._is_being_read = False
        self._reading = threading.RLock()

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
        if not self._is_read and not is_importing():
            with self._reading:  # whoever comes meanwhile waits for the whole menu
                self._read()
        return dict(sorted(self._entries.items()))

    def plugins(self) -> list[Plugin]:
        """Return what installed distributions add, and what of it was left out, with the reason."""
        self.all()
        return self._plugins

    def origin(self, name: str) -> dict[str, str]:
        """Return the version of the distribution that an entry comes from, by name; ours has none.

        One name at most: ``{"caat-example": "0.1"}``.
        """
        for plugin in self.plugins():
            if plugin.problem is None and plugin.name == name:
                return {plugin.distribution: plugin.version}
        return {}

    @contextmanager
    def holding(self, name: str, entry: EntryT) -> Iterator[None]:
        """Run a block in which the menu has one entry more."""
        self.all()
        self._entries[name] = entry
        try:
            yield
        finally:
            self._entries.pop(name, None)

    def _read(self) -> None:
        if self._is_being_read:
            return
        self._is_being_read = True
        folder = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(folder.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self.package}.{module.name}")
        if self.base is not None:
            self._plugins = load(self.kind, self._accept)
        self._is_read = True

    def _accept(self, found: object) -> str:
        """Put what an entry point names on the menu, and return its name.

        Raises:
            UnfitError: It does not keep the contract of this menu.
        """
        base = self.base
        assert base is not None
        if not isinstance(found, type) or not issubclass(found, base):
            raise UnfitError(f"{found!r:.80} is no subclass of {base.__name__}")
        name, entry = self._entry(found)
        require_name(name)
        if self._entries.get(name) is not entry:
            if name in self._entries:
                raise UnfitError(f"the name {name!r} is taken")
            self._entries[name] = entry
        return name

    def _entry(self, found: Any) -> tuple[str, EntryT]:
        """Return the name and the entry that a class makes, checked."""
        raise NotImplementedError


class Registry(Table[type[ConfigT]]):
    """Configuration classes by name; the name is the default of the class's ``name`` field.

    Used inside ``Annotated`` it validates a table by its ``name`` key, so that a plug-in's own
    fields stand beside its name in a scenario file. ``alias`` is a second word for that key.
    """

    def __init__(
        self,
        kind: str,
        package: str,
        *,
        base: type,
        default: str,
        alias: str = "name",
    ) -> None:
        super().__init__(kind, package, base=base)
        self.default, self.alias = default, alias

    def register(self, config: type[ConfigT]) -> type[ConfigT]:
        """Class decorator: put a configuration on the menu."""
        self.add(config.model_fields["name"].default, config)
        return config

    def names(self) -> list[str]:
        return list(self.all())

    def _entry(self, found: Any) -> tuple[str, type[ConfigT]]:
        field = found.model_fields.get("name")
        if field is None or not isinstance(field.default, str):
            raise UnfitError('it has no name; write name: Literal["..."] = "..."')
        try:
            found()
            found.model_json_schema()
        except (TypeError, ValueError, PydanticUserError) as error:
            raise UnfitError(f"it cannot be made of its defaults ({_first_line(error)})") from None
        for name, info in found.model_fields.items():
            if name != "name" and not info.description:
                raise UnfitError(f"its field {name!r} has no description")
        return field.default, found

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


def _first_line(error: Exception) -> str:
    """Return what went wrong in a line; of a validation, the field and its mistake."""
    if isinstance(error, ValidationError):
        detail = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"
    return (str(error).splitlines() or [type(error).__name__])[0]
