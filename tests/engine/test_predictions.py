"""Predictions of another tool are read alike from every kind of file, or refused in one line."""

import io
import resource
import struct
import time
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data.predictions import read_predictions
from engine.errors import UserError

LABEL = np.array([0, 1, 2, 2, 1, 0])
CLEAN = np.array([0, 1, 2, 1, 1, 0])
ATTACKED = np.array([1, 1, 0, 2, 1, 0])
KEPT = np.array([1, 1, 0, 1, 1, 0])
"""An image that is wrong without the attack stays as it is."""


def as_csv(columns):
    rows = [
        ",".join(columns),
        *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True)),
    ]
    return "\n".join(rows).encode()


def as_npz(columns, **more):
    out = io.BytesIO()
    np.savez(out, **columns, **more)
    return out.getvalue()


def as_parquet(columns):
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


KINDS = {"csv": as_csv, "npz": as_npz, "parquet": as_parquet}
GOOD = {"label": LABEL, "clean": CLEAN, "attacked": ATTACKED}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_says_the_same(kind, tmp_path):
    file = tmp_path / f"p.{kind}"
    file.write_bytes(KINDS[kind]({**GOOD, "attacked_pgd": LABEL, "note": LABEL}))
    found = read_predictions(file)
    assert list(found.attacked) == ["", "pgd"]
    np.testing.assert_array_equal(found.label, LABEL)
    np.testing.assert_array_equal(found.clean, CLEAN)
    np.testing.assert_array_equal(found.attacked[""], KEPT)


def test_logits_say_what_their_largest_says(tmp_path):
    logits = np.random.default_rng(0).random((6, 3)) + 5 * np.eye(3)[CLEAN]
    (tmp_path / "p.npz").write_bytes(as_npz({**GOOD, "clean": np.asfortranarray(logits)}))
    np.testing.assert_array_equal(read_predictions(tmp_path / "p.npz").clean, CLEAN)


def header(shape, descr="<i8"):
    told = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    told += b" " * (63 - (len(told) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(told)) + told


def npz_of(**entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(f"{name}.npy", content)
    return out.getvalue()


def changed(kind, **columns):
    return KINDS[kind]({**GOOD, **columns})


BAD = {
    "empty.csv": (b"", "no column label"),
    "no-attack.csv": (as_csv({"label": LABEL, "clean": CLEAN}), "no column attacked or attacked_N"),
    "no-rows.csv": (b"label,clean,attacked\n", "it has no rows"),
    "text.csv": (b"label,clean,attacked\n1,cat,2\n", "line 2, clean: 'cat' is no class"),
    "half.csv": (b"label,clean,attacked\n1,0.5,2\n", "line 2, clean: '0.5' is no class"),
    "negative.csv": (b"label,clean,attacked\n1,-1,0\n", "line 2, clean: '-1' is no class"),
    "digits.csv": ("label,clean,attacked\n\u0661,0,0\n".encode(), "is no class"),
    "short.csv": (b"label,clean,attacked\n1,0\n", "line 2 has 2 fields, the first has 3"),
    "twice.csv": (b"label,clean,clean,attacked\n1,0,0,0\n", "two columns have one name"),
    "latin.csv": (b"label,clean,attacked\n\xff,0,0\n", "cannot be read as .csv"),
    "more-classes.csv": (changed("csv", attacked=LABEL + 5), "the labels end at 2"),
    "more-classes.npz": (changed("npz", clean=LABEL + 5), "clean is 5 in row 0"),
    "nan.npz": (changed("npz", clean=np.full((6, 3), np.nan)), "NaN or infinite logits, in row 0"),
    "inf.npz": (changed("npz", attacked=np.full((6, 3), np.inf)), "NaN or infinite logits"),
    "more-logits.npz": (changed("npz", clean=np.ones((6, 4))), "4 logits an image, label 3"),
    "lengths.npz": (changed("npz", clean=CLEAN[:3]), "clean has 3 rows, label has 6"),
    "float.npz": (changed("npz", clean=CLEAN * 1.0), "clean holds float64"),
    "float-label.npz": (changed("npz", label=LABEL * 1.0), "label holds no whole numbers"),
    "object.npz": (changed("npz", clean=np.array([None] * 6)), "clean holds object"),
    "text.npz": (changed("npz", clean=np.array(["a"] * 6)), "clean holds <U1"),
    "deep.npz": (changed("npz", clean=np.ones((6, 3, 2))), "clean is said to be 6 x 3 x 2"),
    "rows.npz": (
        npz_of(label=header((10**9,)), clean=b"", attacked=b""),
        "is said to be 1000000000",
    ),
    "lie.npz": (npz_of(label=header((1000,)), clean=b"", attacked=b""), "8,000 bytes long and has"),
    "bomb.npz": (npz_of(label=bytes(2**20), clean=b"x", attacked=b"x"), "cannot be read as .npz"),
    "zip.npz": (b"PK\x03\x04" + bytes(50), "cannot be read as .npz"),
    "magic.npz": (b"no archive", "cannot be read as .npz"),
    "truncated.npz": (as_npz(GOOD)[:200], "cannot be read as .npz"),
    "float.parquet": (changed("parquet", clean=CLEAN * 1.0), "clean holds double"),
    "null.parquet": (changed("parquet", clean=pa.array([1, None, 0, 0, 0, 0])), "1 empty rows"),
    "truncated.parquet": (as_parquet(GOOD)[:100], "cannot be read as .parquet"),
    "magic.parquet": (b"PAR1" + bytes(20) + b"PAR1", "cannot be read as .parquet"),
    "kind.pkl": (b"\x80\x04N.", "is no .csv, .npz, .parquet"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_is_one_line_soon(name, tmp_path):
    content, why = BAD[name]
    (tmp_path / name).write_bytes(content)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(UserError) as refused:
        read_predictions(tmp_path / name)
    text = str(refused.value)
    assert text.startswith(f"PREDICTIONS: {tmp_path / name}")
    assert why in text
    assert "\n" not in text
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 * 1024


def test_classes_of_known_data_are_the_most_that_there_are(tmp_path):
    (tmp_path / "p.csv").write_bytes(as_csv(GOOD))
    assert read_predictions(tmp_path / "p.csv", num_classes=10).label.max() == 2
    with pytest.raises(UserError, match=r"label is 0 to 2; allowed: 0 to 1$"):
        read_predictions(tmp_path / "p.csv", num_classes=2)
