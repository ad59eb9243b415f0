"""The corpus: name -> (what makes the file in a folder, words of the refusal in their order)."""

import os
import pickle
import struct
import zipfile

import numpy as np

from tests.engine.added import files as f

CASES = {}
"""Name -> (maker, words); a maker returns the path to add."""


def case(name, *words):
    def put(maker):
        CASES[name] = (maker, words)
        return maker

    return put


class Evil:
    def __reduce__(self):
        return os.system, ("touch executed",)


def arrays(name, *words, **members):
    CASES[f"npz: {name}"] = (lambda d: f.npz(d / "a.npz", **members), ("a.npz", *words))


def objects():
    return f.npy(np.array([Evil()], dtype=object), allow_pickle=True)


arrays("labels that are a pickle", "y.npy", "Python objects", y=objects())
arrays("images that are a pickle", "x.npy", "Python objects", x=objects())
arrays("names that are a pickle", "names.npy", "Python objects", names=objects())
arrays("a bare pickle", "x.npy", "no array", x=pickle.dumps([1]))
arrays("records", "x.npy", "records", x=np.zeros(3, dtype=[("a", "u1")]))
arrays("raw bytes as numbers", "x.npy", "objects or records", x=f.header("|V8"))
arrays("no images", "no array x", x=b"")
arrays("no labels", "no array y", y=b"")
arrays("wrong magic", "x.npy", "no array", x=b"PKNUMPY" + bytes(200))
arrays("an empty member", "y.npy", "no array", y=b"\x93")
arrays("version 9", "x.npy", "no array", x=f.header(version=b"\x09\x00"))
arrays("a header of 60 kB", "no header", x=b"\x93NUMPY\x01\x00\x60\xea" + b" " * 60000)
arrays("a header without an end", "no header", x=b"\x93NUMPY\x01\x00\xff\x01" + b"{" * 600)
arrays("a header of brackets", "no header", x=f.header(shape="(" * 900))
arrays("a header that is code", "no header", x=f.header(shape="__import__('os').abort()"))
arrays("a negative side", "no header", x=f.header(shape="(-3, 8, 8)"))
arrays("10^9 claimed rows", "x.npy", "1,000,000,000", x=f.header(shape="(1000000000, 8, 8)"))
arrays("10^18 claimed rows", "x.npy", "too much", x=f.header(shape="(1000000000000000000, 8, 8)"))
arrays("more rows than bytes", "x.npy", "says 24", x=f.header(shape="(24, 8, 8)", data=bytes(99)))
arrays("fewer rows than bytes", "x.npy", "says 2", x=f.header(shape="(2, 8, 8)", data=bytes(999)))
arrays("Fortran's order", "x.npy", "Fortran", x=np.asfortranarray(f.pixels()))
arrays("complex numbers", "x.npy", "complex64", x=np.zeros((9, 8, 8), np.complex64))
arrays("dates", "x.npy", "no header", x=np.zeros((9, 8, 8), "datetime64[s]"))
arrays("whole numbers of 64 bits", "x.npy", "int64", "uint8", x=f.pixels().astype(np.int64))
arrays(
    "NaN",
    "x.npy, row 7",
    "nan",
    x=np.where(np.arange(24)[:, None, None] == 7, np.nan, 0.5) * np.ones((24, 8, 8)),
)
arrays("floats up to 255", "x.npy, row 0", "[0, 1]", x=f.pixels().astype(np.float32))
arrays("infinite floats", "x.npy, row 0", "inf", x=np.full((24, 8, 8), np.inf))
arrays("negative floats", "x.npy, row 0", "-1", x=np.full((24, 8, 8), -1.0))
arrays("two axes", "x.npy", "the shape 24 x 64", x=np.zeros((24, 64), np.uint8))
arrays("five axes", "x.npy", "the shape", x=np.zeros((2, 2, 2, 2, 2), np.uint8))
arrays("four channels", "x.npy", "the shape", "C 1 or 3", x=np.zeros((24, 8, 8, 4), np.uint8))
arrays("two channels", "x.npy", "the shape", x=np.zeros((24, 8, 8, 2), np.uint8))
arrays("not square", "x.npy", "8 x 9", "square", x=np.zeros((24, 8, 9), np.uint8))
arrays("too small", "x.npy", "4 x 4", x=np.zeros((24, 4, 4), np.uint8))
arrays("too large", "x.npy", "225 x 225", x=np.zeros((3, 225, 225), np.uint8))
arrays("no rows", "0 images", x=np.zeros((0, 8, 8), np.uint8), y=np.zeros(0, int))
arrays("more labels", "y.npy", "shape 25", y=f.labels(25))
arrays("labels as columns", "y.npy", "the shape 24 x 3", y=np.zeros((24, 3), int))
arrays("labels as floats", "y.npy", "float64", y=f.labels().astype(float))
arrays("labels as text", "y.npy", "<U21", y=f.labels().astype(str))
arrays("a negative label", "y.npy, row 0", "is -1", y=f.labels() - 1)
arrays(
    "a huge label", "y.npy, row 0", "is 18446744073709551615", y=np.full(24, 2**64 - 1, np.uint64)
)
arrays("a label of no name", "y, row 2", "is 2", names=np.array(["a", "b"]))
arrays("a gap between labels", "class '1' has 0", y=2 * (f.labels() % 2))
arrays("labels from 1 on", "class '0' has 0", y=f.labels() + 1)
arrays("one class", "1 class", y=np.zeros(24, int))
arrays("one sample a class", "has 1 training image", y=np.arange(24))
arrays("two names alike", "'a'", names=np.array(["a", "a", "b"]))
arrays("names that differ in case", "upper and lower case", names=np.array(["a", "A", "b"]))
arrays("a name with a line break", "LINE FEED", names=np.array(["a", "b\nc", "d"]))
arrays("a name that turns others", "place 1", names=np.array(["a", "\u202eb", "d"]))
arrays("an empty name", "called ''", names=np.array(["a", "", "d"]))
arrays("a name of 300 letters", "100 characters", names=np.array(["a", "b" * 300, "d"]))
arrays("names as numbers", "names.npy", "list of text", names=np.arange(3))
arrays("names in no encoding", "UTF-8", names=np.array([b"a", b"\xff\xfe", b"d"]))
arrays("names beyond Unicode", "UTF-8", names=f.header("<U1", "(3,)", data=b"\xff" * 12))
arrays("2,000 names", "names", names=np.array([str(n) for n in range(2000)]))
arrays("true labels of another length", "true_labels.npy", "shape 3", true_labels=np.arange(3))


def zipped(name, members, *words, ending="zip"):
    CASES[f"zip: {name}"] = (
        lambda d: f.archive(d / f"a.{ending}", members() if callable(members) else members),
        (f"a.{ending}", *words),
    )


def with_entry(name, data=b"x", **about):
    def members():
        info = zipfile.ZipInfo(name)
        for what, value in about.items():
            setattr(info, what, value)
        return [*f.tree().items(), (info, data)]

    return members


zipped("a slip", with_entry("../evil.png"), "../evil.png", "..")
zipped("a slip inside", with_entry("ant/../../evil.png"), "..")
zipped("an absolute name", with_entry("/etc/evil.png"), "/etc/evil.png", "absolute")
zipped("a drive", with_entry("C:/evil.png"), "absolute")
zipped("a backslash", with_entry("ant\\evil.png"), "backslash")
zipped("a long name", with_entry("a/" * 600 + "b.png"), "characters")
zipped("a link", with_entry("ant/l.png", b"/etc/passwd", external_attr=0o120777 << 16), "a link")
zipped("a device", with_entry("ant/l.png", b"", external_attr=0o020777 << 16), "a device")
zipped("another way of packing", with_entry("ant/l.png", compress_type=zipfile.ZIP_BZIP2), "packed")
zipped("folders that differ in case", lambda: f.tree(("ant", "Ant")).items(), "case only")
zipped("classes that differ in case", lambda: f.tree(("ant", "Ünt", "ünt")).items(), "case only")
zipped(
    "a file outside of the classes",
    lambda: f.tree(x__png=b"").items() | {("loose.png", f.image())},
    "loose.png",
    "no folder",
)
zipped("no images", [("a/readme.txt", b"hello")], "0 classes")
zipped("one class", lambda: f.tree(("ant",)).items(), "1 class")
zipped("one image a class", lambda: f.tree(each=1).items(), "has 1 training image")
zipped(
    "a list of what is not there",
    lambda: [("labels.csv", b"path,label\nx.png,a\n")],
    "line 2",
    "not in the archive",
)


@case("zip: a bomb", "a.npz", "unpacks from")
def bomb(d):
    return f.npz(d / "a.npz", x=f.header(shape="(300000000,)", data=bytes(3 * 10**8)))


@case("zip: the same name twice", "a.zip", "twice")
def double(d):
    with __import__("warnings").catch_warnings():
        __import__("warnings").simplefilter("ignore")
        return f.archive(d / "a.zip", [*f.tree().items(), *f.tree(each=1).items()])


def patched(name, *words):
    """Register an archive whose bytes are changed after it was written."""

    def put(change):
        def maker(d):
            path = f.npz(d / "a.npz")
            path.write_bytes(change(bytearray(path.read_bytes())))
            return path

        CASES[f"zip: {name}"] = (maker, ("a.npz", *words))
        return change

    return put


def central(data, nth=0):
    at = -1
    for _ in range(nth + 1):
        at = data.index(b"PK\x01\x02", at + 1)
    return at


@patched("entries that overlap", "shares its bytes")
def overlap(data):
    first, second = central(data), central(data, 1)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    return data


@patched("an encrypted entry", "encrypted")
def encrypted(data):
    data[central(data) + 8] |= 1
    return data


@patched("a size that lies", "says 24")
def lying(data):
    at = central(data)
    data[at + 24 : at + 28] = struct.pack("<I", 10**8)
    return data


@patched("a checksum that lies", "cut short or damaged")
def checksum(data):
    at = central(data)
    data[at + 16 : at + 20] = b"\0\0\0\0"
    return data


@patched("damaged bytes", "x.npy")
def damaged(data):
    data[200:260] = bytes(60)
    return data


@patched("a directory of 60,000 files that are not there", "60,000 files")
def many(data):
    at = data.rindex(b"PK\x05\x06")
    data[at + 8 : at + 12] = struct.pack("<HH", 60000, 60000)
    data[at + 12 : at + 16] = struct.pack("<I", 2**31)
    return data


@patched("cut short", "zip archive")
def cut(data):
    return data[: len(data) // 2]


@patched("an offset beyond the end", "shares its bytes")
def beyond(data):
    at = central(data)
    data[at + 42 : at + 46] = struct.pack("<I", 2**31)
    return data
