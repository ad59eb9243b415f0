"""A run's model as files that other programs load: weights, programs, and all of it in one zip."""

from __future__ import annotations

import io
import json
from pathlib import Path

from safetensors.torch import save

from db.session import Database
from engine.models.portable import as_onnx, as_program
from tasks.processes.process import output_file
from tasks.results.deployed_model import DeployedModel, deployed_model
from tasks.results.model_card import model_card
from tasks.results.zip_file import write_zip

LOADER = '''"""Load the model; needs torch and safetensors, not the program that trained it."""

from pathlib import Path

import torch
from safetensors.torch import load_file

HERE = Path(__file__).parent


def load(weights: Path = HERE / "model.safetensors") -> torch.nn.Module:
    """From images (N, channels, height, width) in [0, 1] to logits (N, classes)."""
    model = torch.export.load(HERE / "model.pt2").module()
    model.load_state_dict(load_file(weights))
    return model
'''


def write_weights(database: Database, run_id: str, out: Path) -> int:
    """Write the weights as safetensors: other runs can start from them."""
    model = deployed_model(database, run_id)
    with output_file(out) as file:
        file.write(_weights(model))
    return len(model.weights.weights)


def write_bundle(database: Database, run_id: str, out: Path) -> int:
    """Write a zip of weights, program, loader, card and classes.

    The program gives the architecture, and the weights are loaded into it by name. Both hold all
    tensors: the one can be trained on, the other runs alone.
    """
    model = deployed_model(database, run_id)
    parts = {
        "model.safetensors": _weights(model),
        "model.pt2": _program(model),
        "load.py": LOADER.encode(),
        "card.md": model_card(database, run_id).encode(),
        "classes.json": _classes(model).encode(),
    }
    write_zip(out, parts)
    return len(model.weights.weights)


def write_program(database: Database, run_id: str, out: Path) -> int:
    """Write the model as a program of `torch.export`, for any number of images."""
    model = deployed_model(database, run_id)
    program = _program(model)
    with output_file(out) as file:
        file.write(program)
    return len(model.weights.weights)


def write_onnx(database: Database, run_id: str, out: Path) -> int:
    """Write the model as ONNX: ``images`` (batch, channels, h, w) to ``logits`` (batch, C)."""
    model = deployed_model(database, run_id)
    network, shape = model.built()
    content = as_onnx(network, shape, told={"classes": _classes(model), **_whose(model)})
    with output_file(out) as file:
        file.write(content)
    return len(model.weights.weights)


def _weights(model: DeployedModel) -> bytes:
    # contiguous: of channels_last training the values are wanted, not the order in memory
    tensors = {name: value.contiguous() for name, value in model.weights.weights.items()}
    content: bytes = save(tensors, _whose(model))
    return content


def _whose(model: DeployedModel) -> dict[str, str]:
    return {"epoch": str(model.weights.epoch), "run": model.run.id}


def _program(model: DeployedModel) -> bytes:
    network, shape = model.built()
    file = io.BytesIO()
    as_program(network, shape, file, told={"classes.json": _classes(model)})
    return file.getvalue()


def _classes(model: DeployedModel) -> str:
    return json.dumps(model.class_names)
