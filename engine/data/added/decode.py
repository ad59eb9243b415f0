"""The child process that opens image files: nobody else does, and its time and memory are limited.

``python -m engine.data.added.decode``. The first line of its input is a `Job`, each further one an
`Order`; it answers each order by one line. Before it opens an image it notes which one, so that its
parent can name the image that it did not survive. See `engine.data.added.children`.
"""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from engine.data.added.archive import Entry, unpacked
from engine.data.added.limited import limit
from engine.data.added.limits import (
    DECODE_MEMORY,
    DECODE_SECONDS,
    LARGEST_FILE,
    MOST_PIXELS,
    SMALLEST_SIDE,
)
from engine.data.added.refusal import Refused, told
from engine.types import ByteArray

FORMATS = ("PNG", "JPEG", "WEBP")
GREY = ("1", "L", "LA", "La")
_KNOWN = (*GREY, "P", "PA", "RGB", "RGBA", "RGBa", "YCbCr")
_PNG = b"\x89PNG\r\n\x1a\n"
_FAILS = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    EOFError,
    struct.error,
    zlib.error,
)
"""What Pillow raises over damaged files."""


def opened(data: bytes) -> tuple[Image.Image, str]:
    """Open an image without decoding it; return it with the way that it counts.

    Raises:
        ValueError: It is none that may be added; says which rule.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except _FAILS:
        raise ValueError("is no PNG, JPEG or WebP image, or is damaged") from None
    width, height = image.size
    if width * height > MOST_PIXELS:
        most = f"{MOST_PIXELS:,} pixels, as 4,096 x 4,096"
        raise ValueError(f"has {width:,} x {height:,} pixels; allowed: {most}")
    if min(width, height) < SMALLEST_SIDE:
        least = f"{SMALLEST_SIDE} x {SMALLEST_SIDE}"
        raise ValueError(f"has {width} x {height} pixels; allowed: {least} at least")
    if getattr(image, "n_frames", 1) > 1:
        raise ValueError("is animated; save one of its pictures")
    if (data[:8] == _PNG and data[24:25] == b"\x10") or image.mode.startswith(("I", "F")):
        raise ValueError("has 16 bits a value; save it with 8")
    if image.mode == "CMYK":
        raise ValueError("is in CMYK, for printing; save it in RGB")
    if image.mode not in _KNOWN:
        raise ValueError(f"has pixels of the kind {image.mode}; save it in RGB or grey")
    return image, image.mode


def seen(data: bytes) -> list[Any]:
    """Return a picture's shorter side, whether it is grey, and what will be done about it."""
    image, mode = opened(data)
    turned = image.getexif().get(0x0112, 1) not in (0, 1)
    width, height = image.size
    clear = mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    return [min(width, height), int(mode in GREY), int(turned), int(clear), int(width != height)]


def decoded(data: bytes, channels: int, size: int) -> ByteArray:
    """Return a picture as (channels, size, size): upright, on white, its middle square, resized."""
    image, mode = opened(data)
    if mode == "RGB" and image.format == "JPEG":
        image.draft("RGB", (2 * size, 2 * size))  # reads a large one at a smaller scale
    image = ImageOps.exif_transpose(image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    pixels = np.asarray(image, dtype=np.uint8).reshape(size, size, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def file_bytes(place: dict[str, Any]) -> bytes:
    """Return the bytes of a picture that is a file, or a file of an archive.

    Raises:
        ValueError: It cannot be read.
    """
    if "entry" in place:
        entry = Entry(*place["entry"])
        if entry.size > LARGEST_FILE:
            raise ValueError(f"has {told(entry.size)}; allowed: {told(LARGEST_FILE)}")
        try:
            return unpacked(Path(place["path"]), entry)
        except Refused as error:
            raise ValueError(error.rule) from None
    # No link is followed, and no pipe is waited for.
    try:
        handle = os.open(place["path"], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise ValueError(f"cannot be opened ({error.strerror})") from None
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("is no file")
        if about.st_size > LARGEST_FILE:
            raise ValueError(f"has {told(about.st_size)}; allowed: {told(LARGEST_FILE)}")
        return file.read(LARGEST_FILE + 1)


class Child:
    """What one process does, order by order."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.channels, self.size = job.get("channels", 0), job.get("size", 0)
        self.out: Any = np.memmap(job["out"], np.uint8, "r+") if job.get("out") else None
        self.mark: Any = np.memmap(job["mark"], np.int64, "r+", offset=8 * job["number"], shape=1)

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        """Return what was found of each picture, and the first that is wrong."""
        found: list[Any] = []
        try:
            for row, data in self._pictures(order):
                self.mark[0] = row
                signal.alarm(DECODE_SECONDS)
                found.append(self._looked_at(row, data))
                signal.alarm(0)
                self.mark[0] = row + 1  # what is wrong before the next one is given is its fault
        except MemoryError:
            rule = f"takes more than {told(DECODE_MEMORY)} to decode"
        except ValueError as error:
            rule = str(error)
        except _FAILS:
            rule = "is cut short or damaged"
        else:
            return {"found": found}
        signal.alarm(0)
        return {"wrong": [int(self.mark[0]), rule]}

    def _looked_at(self, row: int, place: Any) -> Any:
        data = file_bytes(place) if isinstance(place, dict) else place
        if self.out is None:
            return seen(data)
        try:
            pixels = decoded(data, self.channels, self.size)
        except _FAILS as error:
            rule = str(error) if type(error) is ValueError else "is cut short or damaged"
            raise ValueError(rule) from None
        self.out[row * pixels.size : (row + 1) * pixels.size] = pixels.ravel()
        return 0

    def _pictures(self, order: dict[str, Any]) -> Iterator[tuple[int, Any]]:
        if "group" not in order:
            yield from order["items"]
            return
        from engine.data.added.parquet import pictures  # Arrow takes half a second to load

        first = order["first"]
        self.mark[0] = first
        for number, data in enumerate(pictures(Path(order["path"]), order["group"])):
            yield first + number, data


def main() -> None:
    """Answer orders until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    Image.MAX_IMAGE_PIXELS = None  # `opened` has a limit of its own
    Image.preinit()
    job = json.loads(sys.stdin.readline())
    if job.get("parquet"):
        import pyarrow.parquet  # noqa: F401 - before memory is limited
    child = Child(job)
    if sys.platform == "linux":
        limit()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(child.answer(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
