"""Images as a person can see them: enlarged without blur, differences made visible."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Pixels = npt.NDArray[np.uint8]

SIDE = 112
"""Smallest side, in screen pixels, that an image is enlarged to."""


def moved(image: Pixels, delta: Array) -> Pixels:
    """Return an image (channels, h, w) with a perturbation in pixels of [0, 1] added to it."""
    values = image.astype(np.float32) + 255 * delta.astype(np.float32)
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def amplified(delta: Array, factor: int) -> Pixels:
    """Return a perturbation as an image: no change is grey, ``factor`` times what was added."""
    values = 127.5 + 255 * factor * delta.astype(np.float32)
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def amplification(deltas: list[Array]) -> int:
    """Return the factor at which the largest change of all of them just fills the scale."""
    largest = max(
        (float(np.abs(delta.astype(np.float32)).max(initial=0)) for delta in deltas), default=0
    )
    return max(int(0.5 / largest), 1) if largest > 0 else 1


def enlarged(image: Pixels) -> Pixels:
    """Return an image (channels, h, w) as (height, width, 3), each pixel a square of pixels."""
    shown = np.moveaxis(image, 0, -1)
    if shown.shape[-1] == 1:
        shown = np.repeat(shown, 3, axis=-1)
    times = max(-(-SIDE // min(shown.shape[:2])), 1)
    return shown.repeat(times, axis=0).repeat(times, axis=1)
