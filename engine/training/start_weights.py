"""Weights that a run starts from in its seed's place: read from a file, named, and checked."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import UserError
from engine.lazy import torch
from engine.scenario import Scenario

if TYPE_CHECKING:
    from torch import Tensor

FIELD = "training.start_from"


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read a model's weights by its own names: safetensors, or a state dict of `torch.save`.

    Raises:
        UserError: The file cannot be read, or holds something else.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"{FIELD}: {file} cannot be read ({why}); name a weights file") from None
    try:
        weights = _unpacked(content, is_safe=file.suffix == ".safetensors")
    except Exception:  # noqa: BLE001 - what is no such file fails in any way it likes
        weights = None
    if not _is_state_dict(weights):
        raise UserError(
            f"{FIELD}: {file} holds no weights that can be read; allowed: .safetensors as "
            "`caat export --what model` writes, or a state dict of torch.save"
        )
    return dict(weights)


def _unpacked(content: bytes, *, is_safe: bool) -> Any:
    if is_safe:
        from safetensors.torch import load

        return load(content)
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _is_state_dict(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and len(found) > 0
        and all(isinstance(name, str) for name in found)
        and all(isinstance(value, torch.Tensor) for value in found.values())
    )


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256, 64 hex digits, of names, types, shapes and values, whatever the file."""
    state = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        state.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
        state.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()


def require_fit(scenario: Scenario, weights: Mapping[str, Tensor], called: str) -> None:
    """Refuse weights that are not those of the scenario's network.

    Args:
        scenario: What is to start from them.
        weights: By the model's own names.
        called: What they are called in the message.

    Raises:
        UserError: A name or a shape is another one, or a value is no finite number.
    """
    needed = _shapes(scenario)
    for name in sorted(needed.keys() | weights.keys()):
        has = _in_words(weights[name].shape) if name in weights else "missing"
        wants = _in_words(needed[name]) if name in needed else "not part of it"
        if has != wants:
            classes = len(scenario.data.source.class_names)
            raise UserError(
                f"{FIELD}: {called} does not fit {scenario.model.name} for {classes} classes of "
                f"{scenario.data.dataset}: {name} is {has}, there it is {wants}; choose the "
                "backbone, width and dataset that it was trained with"
            )
    if not all(bool(value.isfinite().all()) for value in weights.values()):
        raise UserError(f"{FIELD}: {called} holds NaN or infinite numbers; choose other weights")


def _shapes(scenario: Scenario) -> dict[str, torch.Size]:
    """Return the shape of everything that the scenario's model holds; nothing is computed."""
    from engine.models.classifier import Classifier

    source = scenario.data.source
    with torch.device("meta"):
        backbone = scenario.model.build(source.channels, source.size, len(source.class_names))
        model = Classifier(backbone, torch.zeros(source.channels), torch.ones(source.channels))
    return {name: value.shape for name, value in model.state_dict().items()}


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
