"""Weights that a run starts from in its seed's place: read from a file, named, and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UserError
from engine.lazy import torch
from engine.models.fit import NORMALISATION, Shape, fit, template
from engine.models.weights_file import chosen, read_states
from engine.scenario import Scenario

if TYPE_CHECKING:
    from torch import Tensor

FIELD = "training.start_from"


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read a model's weights by its own names: safetensors, or a state dict of `torch.save`.

    Raises:
        UserError: The file cannot be read, or holds something else.
    """
    called = str(file)
    return chosen(read_states(file, FIELD), None, called=called, field=FIELD)


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256, 64 hex digits, of names, types, shapes and values, whatever the file."""
    state = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        state.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
        state.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()


def under_own_names(scenario: Scenario, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights by the names of the scenario's network, if they fit it under any.

    Raises:
        UserError: There is no such network for such images.
    """
    return fit(weights, scenario.model, shape_of(scenario)).weights or weights


def shape_of(scenario: Scenario) -> Shape:
    """Return what a scenario's network takes and tells apart."""
    source = scenario.data.source
    return Shape(source.channels, source.size, len(source.class_names))


def require_fit(scenario: Scenario, weights: Mapping[str, Tensor], called: str) -> None:
    """Refuse weights that are not those of the scenario's network.

    Args:
        scenario: What is to start from them.
        weights: By the model's own names; those of another library's file have no normalisation.
        called: What they are called in the message.

    Raises:
        UserError: A name or a shape is another one, or a value is no finite number.
    """
    needed = {
        name: value.shape for name, value in template(scenario.model, shape_of(scenario)).items()
    }
    if not weights.keys() & NORMALISATION:
        needed = {name: shape for name, shape in needed.items() if name not in NORMALISATION}
    for name in sorted(needed.keys() | weights.keys()):
        has = _in_words(weights[name].shape) if name in weights else "missing"
        wants = _in_words(needed[name]) if name in needed else "not part of it"
        if has != wants:
            classes = len(scenario.data.source.class_names)
            raise UserError(
                f"{FIELD}: {called} does not fit {scenario.model.called} for {classes} classes of "
                f"{scenario.data.dataset}: {name} is {has}, there it is {wants}; choose the "
                "backbone, width and dataset that it was trained with"
            )
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise UserError(f"{FIELD}: {called} holds NaN or infinite numbers; choose other weights")


def _in_words(shape: torch.Size) -> str:
    return " x ".join(map(str, shape)) or "a number"


def require_named(scenario: Scenario, weights: Mapping[str, Tensor] | None) -> None:
    """Refuse to begin a run with other weights than its scenario names.

    Raises:
        UserError: They are missing, others, or not asked for.
    """
    named = scenario.training.start_from
    given = None if weights is None else weights_digest(weights)
    if given != named:
        raise UserError(
            f"{FIELD}: the scenario names {named or 'no weights'}, and it was given "
            f"{given or 'none'}; name weights by `weights_digest`"
        )
