"""A model as a program that runs without this package: torch.export's, and ONNX.

Both take any number of images in [0, 1] and give float32 logits, in eval mode: the normalisation is
the first layer, and batch norm's statistics are constants.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO

import torch
from torch.export import Dim, ExportedProgram

if TYPE_CHECKING:
    from engine.models.classifier import Classifier

Shape = tuple[int, int, int]
BATCH = "batch"


def exported(model: Classifier, shape: Shape) -> ExportedProgram:
    """Return the model's program, for images (batch, channels, h, w) of this shape."""
    images = torch.zeros(2, *shape)  # of one image torch would take the number for a constant
    with model.in_float32():
        return torch.export.export(model.eval(), (images,), dynamic_shapes=({0: Dim(BATCH)},))


def as_program(model: Classifier, shape: Shape, file: BinaryIO, *, told: Mapping[str, str]) -> None:
    """Write the program as ``.pt2``, which `torch.export.load` reads.

    Args:
        model: With its weights.
        shape: Of an image.
        file: Where to.
        told: Name of an extra file inside -> its text.
    """
    torch.export.save(exported(model, shape), file, extra_files=dict(told))


def as_onnx(model: Classifier, shape: Shape, *, told: Mapping[str, str]) -> bytes:
    """Return the model as ONNX: from ``images`` to ``logits``; ``told`` is its metadata."""
    with warnings.catch_warnings(), model.in_float32():
        warnings.simplefilter("ignore", FutureWarning)  # of torch about its own calls
        program = torch.onnx.export(
            model.eval(),
            (torch.zeros(2, *shape),),
            dynamo=True,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: BATCH},),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    for key, value in told.items():
        proto.metadata_props.add(key=key, value=value)
    content: bytes = proto.SerializeToString()
    return content
