"""The corpus: image files, folders, lists, Parquet, and files of no kind."""

import os
import pickle

from tests.engine.added import files as f
from tests.engine.added.corpus import CASES, Evil, case


def picture(name, data, *words, ending="png"):
    def maker(d):
        bad = data() if callable(data) else data
        return f.folder(d / "p", f.tree() | {f"ant/bad.{ending}": bad})

    CASES[f"image: {name}"] = (maker, (f"ant/bad.{ending}", *words))


picture("empty", b"", "no PNG")
picture("text", b"hello", "no PNG")
picture("a script", b"<svg onload=alert(1)>", "no PNG")
picture("GIF by another name", lambda: f.image(kind="GIF", mode="P"), "no PNG")
picture("TIFF by another name", lambda: f.image(kind="TIFF"), "no PNG")
picture("cut short", lambda: f.image(200)[:3000], "cut short")
picture("JPEG cut short", lambda: f.image(200, kind="JPEG")[:3000], "cut short", ending="jpg")
picture("30,000 x 30,000", lambda: f.huge_png(30_000), "30,000 x 30,000")
picture("pixels that are not there", lambda: f.huge_png(4000), "cut short")
picture("4 x 4", lambda: f.image(4), "4 x 4")
picture("animated PNG", lambda: f.animated("PNG"), "animated")
picture("animated WebP", lambda: f.animated("WEBP"), "animated", ending="webp")
picture("CMYK", lambda: f.image(kind="JPEG", mode="CMYK"), "CMYK", ending="jpg")
picture("16 bits, grey", f.png16, "16 bits")
picture("16 bits, colours", f.png16_colours, "16 bits")


@case("folder: a link", "p/ant/l.png", "a link")
def link(d):
    f.folder(d / "p", f.tree())
    (d / "p" / "ant" / "l.png").symlink_to("/etc/passwd")
    return d / "p"


@case("folder: a link to a folder above", "p/loop", "a link")
def loop(d):
    f.folder(d / "p", f.tree())
    (d / "p" / "loop").symlink_to(d)
    return d / "p"


@case("folder: a pipe", "p/ant/pipe.png", "no file")
def pipe(d):
    f.folder(d / "p", f.tree())
    os.mkfifo(d / "p" / "ant" / "pipe.png")
    return d / "p"


@case("folder: a name in no encoding", "p, ant/", "UTF-8")
def latin(d):
    f.folder(d / "p", f.tree())
    (d / "p" / "ant" / os.fsdecode(b"\xe9.png")).write_bytes(f.image())
    return d / "p"


@case("folder: empty", "0 classes")
def empty(d):
    return f.folder(d / "p", {}) if (d / "p").mkdir() else d / "p"


def listed(name, text, *words):
    def maker(d):
        f.folder(d, f.tree())
        (d / "l.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return d / "l.csv"

    CASES[f"csv: {name}"] = (maker, ("l.csv", *words))


listed("no header", "ant/0.png,ant\n", "line 1", "columns")
listed("a slip", "path,label\n../x.png,ant\n", "line 2", "..")
listed("an absolute path", "path,label\n/etc/x.png,ant\n", "line 2", "absolute")
listed("no label", "path,label\nant/0.png,\n", "line 2", "no label")
listed("a cell too many", "path,label\nant/0.png,ant,1\n", "line 2", "3 cells")
listed("a quote that is not closed", 'path,label\n"ant/0.png,ant\n', "CSV")
listed("not UTF-8", b"path,label\n\xff\xfe.png,ant\n", "UTF-8")
listed(
    "a file that is not there",
    "path,label\n" + "".join(f"{c}/{r}.png,{c}\n" for c in ("ant", "bee") for r in range(6)),
    "ant/5.png",
    "cannot be opened",
)
listed("a path twice", "path,label\nant/0.png,ant\nant/0.png,bee\n", "line 3", "line 2")
listed("no image by its name", "path,label\nl.csv,ant\n", "line 2", "no PNG")


def rows(name, maker, *words):
    CASES[f"parquet: {name}"] = (lambda d: maker(d / "a.parquet"), ("a.parquet", *words))


rows("no such file", lambda p: p.write_bytes(b"PAR1" + bytes(99) + b"PAR1") and p, "no Parquet")
rows(
    "a footer that lies",
    lambda p: p.write_bytes(b"PAR1" + bytes(99) + b"\xff\xff\xff\x7fPAR1") and p,
    "no Parquet",
)
rows("images that are numbers", lambda p: f.parquet(p, [1, 2], [0, 1]), "int64")
rows("labels that are floats", lambda p: f.parquet(p, [b"x"], [0.5]), "double")
rows(
    "images without bytes", lambda p: f.parquet(p, [b"", b""] * 4, [0, 1] * 4), "row 0", "no bytes"
)
rows("a negative label", lambda p: f.parquet(p, [b"x"] * 8, [-1, 1] * 4), "label '-1'")


@case("other: empty", "empty")
def nothing(d):
    (d / "a.npz").touch()
    return d / "a.npz"


@case("other: not there", "not there")
def missing(d):
    return d / "missing.npz"


@case("other: a kind that is unknown", "no kind")
def unknown(d):
    (d / "a.pt").write_bytes(pickle.dumps(Evil()))
    return d / "a.pt"


@case("other: npz by its name alone", "no npz")
def disguised(d):
    (d / "a.npz").write_bytes(pickle.dumps(Evil()))
    return d / "a.npz"
