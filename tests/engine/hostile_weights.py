"""Files that claim to be weights, and are traps, damaged or lies."""

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch


class Trap:
    """Whoever unpickles it touches a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("trapped"),))


def saved(held: object, *, zipped: bool = True) -> bytes:
    """Return what torch.save writes."""
    out = io.BytesIO()
    torch.save(held, out, _use_new_zipfile_serialization=zipped)
    return out.getvalue()


def safetensors(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    """Return a file of safetensors whose header says whatever is wanted."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def compressed(content: bytes) -> bytes:
    """Return an archive with its entries compressed, and one of zeros behind them."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", 8) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
        new.writestr("archive/data/99", bytes(50_000_000))
    return out.getvalue()


def _entry(dtype: str, shape: list[int], offsets: list[int]) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


_GOOD = {"fc.weight": torch.ones(3, 2), "fc.bias": torch.ones(3)}
_ZIP = saved(_GOOD)

HOSTILE: Mapping[str, tuple[str, Callable[[], bytes]]] = {
    "code": ("a.pt", lambda: saved({"fc.weight": torch.ones(2, 2), "x": Trap()})),
    "code-alone": ("a.pt", lambda: saved(Trap())),
    "code-legacy": ("a.pt", lambda: saved({"x": Trap()}, zipped=False)),
    "plain-pickle": ("a.pth", lambda: pickle.dumps(Trap())),
    "whole-module": ("a.pt", lambda: saved(torch.nn.Linear(2, 2))),
    "empty": ("a.pt", lambda: b""),
    "empty-safetensors": ("a.safetensors", lambda: b""),
    "text": ("a.ckpt", lambda: b"not weights at all"),
    "no-tensors": ("a.pt", lambda: saved({"epoch": 3})),
    "a-list": ("a.pt", lambda: saved([torch.ones(2)])),
    "numbered": ("a.pt", lambda: saved({1: torch.ones(2, 2)})),
    "truncated": ("a.pt", lambda: _ZIP[: len(_ZIP) // 2]),
    "truncated-legacy": ("a.pt", lambda: saved(_GOOD, zipped=False)[:-20]),
    "compressed": ("a.pt", lambda: compressed(_ZIP)),
    "wrong-magic": ("a.pt", lambda: b"PK\x03\x04" + os.urandom(200)),
    "endless-pickle": ("a.pt", lambda: saved(0, zipped=False)[:40] + b"N0" * 2_000_000),
    "header-longer": ("a.safetensors", lambda: safetensors({}, length=10**12)),
    "header-of-all": ("a.safetensors", lambda: safetensors({}, length=2**64 - 1)),
    "header-no-json": ("a.safetensors", lambda: safetensors(b"{{{{{{{{{{")),
    "10-GB-claimed": (
        "a.safetensors",
        lambda: safetensors({"x": _entry("F32", [50_000, 50_000], [0, 10**10])}, bytes(64)),
    ),
    "overlap": (
        "a.safetensors",
        lambda: safetensors(
            {"x": _entry("F32", [4], [0, 16]), "y": _entry("F32", [4], [8, 24])}, bytes(24)
        ),
    ),
    "offsets-lie": (
        "a.safetensors",
        lambda: safetensors({"x": _entry("F32", [4], [0, 8])}, bytes(8)),
    ),
    "unknown-type": (
        "a.safetensors",
        lambda: safetensors({"x": _entry("F99", [4], [0, 16])}, bytes(16)),
    ),
    "negative-shape": (
        "a.safetensors",
        lambda: safetensors({"x": _entry("F32", [-4], [0, 16])}, bytes(16)),
    ),
}
