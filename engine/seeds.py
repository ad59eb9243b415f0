"""Random streams: one per (run seed, purpose, epoch), so that no stream position matters.

A run that resumes at an epoch draws exactly what the uninterrupted run drew there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from engine.lazy import torch


def derive_seed(seed: int, purpose: str, epoch: int = 0) -> int:
    """Hash the three to 63 bits."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{epoch}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def torch_stream(
    seed: int, purpose: str, epoch: int = 0, *, device: torch.device | str = "cpu"
) -> torch.Generator:
    return torch.Generator(device).manual_seed(derive_seed(seed, purpose, epoch))


def numpy_stream(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng(derive_seed(seed, purpose))


@contextmanager
def initialising(seed: int, purpose: str) -> Iterator[None]:
    """Give torch's global stream, which initialises layers, a seed of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, purpose))
        yield
