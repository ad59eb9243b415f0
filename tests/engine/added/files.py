"""Files that people might add: good ones, and a corpus of hostile and broken ones, made in code."""

import io
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)


def pixels(number=24, side=8, channels=3):
    return RNG.integers(0, 256, (number, side, side, channels), dtype=np.uint8)


def labels(number=24, classes=3):
    return np.arange(number) % classes


def npy(array, **kwargs):
    sink = io.BytesIO()
    np.lib.format.write_array(sink, np.asarray(array), **kwargs)
    return sink.getvalue()


def header(descr="|u1", shape="(3, 8, 8)", order="False", data=b"", version=b"\x01\x00"):
    text = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data


def archive(path, members, compression=zipfile.ZIP_DEFLATED):
    """Write a zip of (name or ZipInfo, bytes)."""
    with zipfile.ZipFile(path, "w", compression) as sink:
        for name, data in members:
            sink.writestr(name, data)
    return path


def npz(path, compression=zipfile.ZIP_DEFLATED, **members):
    """Write an npz of arrays, or of bytes as they are; x and y are good ones unless given."""
    held = {"x": pixels(), "y": labels(), **members}
    every = ((f"{n}.npy", v if isinstance(v, bytes) else npy(v)) for n, v in held.items())
    return archive(path, [(n, d) for n, d in every if d != b""], compression)


def image(side=12, mode="RGB", kind="PNG", **save):
    wide, high = side if isinstance(side, tuple) else (side, side)
    drawn = Image.fromarray(RNG.integers(0, 256, (high, wide, 3), dtype=np.uint8))
    sink = io.BytesIO()
    drawn.convert(mode).save(sink, kind, **save)
    return sink.getvalue()


def tree(classes=("ant", "bee"), each=5, **more):
    """Return the files of a folder of class folders: path -> bytes."""
    found = {f"{name}/{row}.png": image() for name in classes for row in range(each)}
    return found | {name.replace("__", "/"): data for name, data in more.items()}


def folder(path, files):
    for name, data in files.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return path


def huge_png(side):
    """Return a PNG that says it is huge and has next to no data."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def png16():
    sink = io.BytesIO()
    Image.fromarray(np.arange(144, dtype=np.uint16).reshape(12, 12) * 400).save(sink, "PNG")
    return sink.getvalue()


def png16_colours():
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 12, 12, 16, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(72) for _ in range(12)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def animated(kind):
    frames = [Image.fromarray(pixels(1, 12)[0]) for _ in range(3)]
    sink = io.BytesIO()
    frames[0].save(sink, kind, save_all=True, append_images=frames[1:], duration=50)
    return sink.getvalue()


def turned(orientation=6):
    """Return a JPEG that a camera has turned: its upper half is white where it is upright."""
    upright = np.zeros((32, 32, 3), np.uint8)
    upright[:16] = 255
    stored = Image.fromarray(np.rot90(upright, 1).copy())  # 6: turn a quarter to the right
    exif = Image.Exif()
    exif[0x0112] = orientation
    sink = io.BytesIO()
    stored.save(sink, "JPEG", exif=exif, quality=95)
    return sink.getvalue()


def parquet(path, images, given, **options):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"image": images, "label": given}, **options)
    pq.write_table(table, path)
    return path


def hf_rows(number=12, classes=3):
    rows = [{"bytes": image(), "path": f"{row}.png"} for row in range(number)]
    return rows, [row % classes for row in range(number)]
