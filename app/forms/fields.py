"""The fields of a scenario's models, as a form sees them: where each stands and what it needs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from app.text.markdown import literal
from engine.config import Derived
from engine.data.datasets.base import datasets
from engine.empty import described, empty_of
from engine.mistakes import allowed_values
from engine.numbers import parse_fraction
from engine.registry import Registry

Kind = Literal["section", "plugin", "choice", "bool", "int", "float", "pixels", "numbers", "text"]

MENUS: Mapping[str, Callable[[], dict[str, str]]] = {
    "data.dataset": lambda: {name: source.title for name, source in datasets().items()}
}
"""Fields of plain text whose values come from a table: path -> {value: title}."""

LABELS = {
    "num_seeds": "Number of seeds",
    "lr": "Learning rate",
    "meta_lr": "Meta learning rate",
    "num_threads": "CPU threads",
    "num_steps": "Attack steps",
    "val_num_steps": "Attack steps, validation",
    "meta_per_class": "Meta images per class",
    "val_per_class": "Validation images per class",
    "train_size": "Training images",
    "test_size": "Test images",
    "record_every": "Record every ... epochs",
    "lr_floor": "Learning rate floor",
    "warm_start_lr": "Warm start learning rate",
    "num_cycles": "Cycles",
    "clip_norm": "Gradient clipping norm",
    "ema_decay": "Weight average decay",
    "awp_gamma": "Adversarial weight perturbation",
    "awp_from": "Weight perturbation from",
    "meta_batch_norm": "Batch norm of the meta loss",
    "with_meta": "Train on the meta images too",
    "augment": "Crop and mirror images",
    "epsilon_warmup_epochs": "Epsilon warm-up epochs",
    "warmup_epochs": "Warm-up epochs",
    "prices": "Class prices",
    "normalise_prices": "Normalise class prices",
    "shrink": "Shrink class errors",
}
"""Where a field's name in words does not make a good label."""

_SCALARS: Mapping[Any, Kind] = {bool: "bool", int: "int", float: "float"}


@dataclass(frozen=True)
class Place:
    """One field of the form.

    Attributes:
        path: As in a scenario file: ``data.noise.ratio``.
        key: Its entry in the session; a plug-in's fields are kept apart by the plug-in's name.
        name, info: The field.
    """

    path: str
    key: str
    name: str
    info: FieldInfo

    @property
    def label(self) -> str:
        return LABELS.get(self.name) or self.name.replace("_", " ").capitalize()

    @property
    def help(self) -> str:
        """The field's description and range, as literal Markdown."""
        allowed = allowed_values(self.info)
        description = described(self.info) or self.label
        return literal(f"{description}. Allowed: {allowed}." if allowed else f"{description}.")

    @property
    def default(self) -> Any:
        return self.info.get_default(call_default_factory=True)

    @property
    def empty_means(self) -> str:
        """What an empty field stands for."""
        empty = empty_of(self.info)
        return empty.means if empty else "default"

    @property
    def is_optional(self) -> bool:
        """Whether it may be empty."""
        return self.is_derived or type(None) in get_args(self.info.annotation)

    @property
    def is_derived(self) -> bool:
        """Whether the other fields decide what an empty one stands for."""
        return any(isinstance(rule, Derived) for rule in self.info.metadata)

    @property
    def registry(self) -> Registry[Any] | None:
        """The table of names that a plug-in's field chooses from."""
        return next((rule for rule in self.info.metadata if isinstance(rule, Registry)), None)

    @property
    def bare(self) -> tuple[Any, list[Any]]:
        """The field's type without None and Annotated, and every rule that is on it."""
        annotation, rules = self.info.annotation, list(self.info.metadata)
        if get_origin(annotation) in (Union, UnionType):
            annotation = next(part for part in get_args(annotation) if part is not type(None))
        if get_origin(annotation) is Annotated:
            annotation, *inner = get_args(annotation)
            rules += inner
        return annotation, rules

    @property
    def kind(self) -> Kind:
        """Which widget the field needs."""
        if self.registry is not None:
            return "plugin"
        annotation, rules = self.bare
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return "section"
        if get_origin(annotation) is Literal or self.path in MENUS:
            return "choice"
        if get_origin(annotation) is tuple:
            return "numbers"
        if any(isinstance(rule, BeforeValidator) and rule.func is parse_fraction for rule in rules):
            return "pixels"
        return _SCALARS.get(annotation, "text")

    @property
    def model(self) -> type[BaseModel]:
        """The table behind a section or a plug-in's field."""
        annotation = self.bare[0]
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            raise TypeError(f"{self.path} is no table of a scenario")
        return annotation

    @property
    def edges(self) -> tuple[float | None, float | None]:
        """The ends of a number's range, whether they belong to it or not."""
        low: Any = None
        high: Any = None
        for rule in self.bare[1]:
            match rule:
                case Ge(ge=edge) | Gt(gt=edge):
                    low = edge
                case Le(le=edge) | Lt(lt=edge):
                    high = edge
        return low, high

    @property
    def options(self) -> dict[str, str]:
        """The values of a choice or the names of the plug-ins, with their titles."""
        if self.registry is not None:
            return {name: name for name in self.registry.names()}
        if self.path in MENUS:
            return MENUS[self.path]()
        return {str(value): str(value) for value in get_args(self.bare[0])}


def places(model: type[BaseModel], path: str, key: str) -> Iterator[Place]:
    """Yield the fields of one table of a scenario, in the order of their declaration."""
    for name, info in model.model_fields.items():
        yield Place(f"{path}.{name}".lstrip("."), f"{key}.{name}", name, info)
