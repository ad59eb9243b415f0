"""A run's model as weights, as a program, and in a zip that needs no CAAT Studio."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tasks.results.export import EXPORTS
from tasks.results.export_request import KINDS, REPORT, _is_installed
from tasks.results.trained import load_trained
from tasks.settings import open_database

ROOT = Path(__file__).parents[2]
ALONE = """
import sys
class None_of_ours:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("app", "db", "engine", "tasks"):
            raise ImportError(f"{name} is the package of the run")
sys.meta_path.insert(0, None_of_ours())
import torch
from load import load
images = torch.load("images.pt")
torch.save([load()(images), load()(images[:1])], "logits.pt")
"""


def test_each_file_of_the_model_gives_its_logits_and_the_zip_does_so_without_our_package(
    told_here, sqlite_studio
):
    folder = sqlite_studio.folder
    code, said, err = told_here("run", "scenario.toml", "--json", "--set", "training.epochs=1")
    assert code == 0, err
    run_id = json.loads(said)["run_id"]
    for what, out in (("model", "m.zip"), ("torch-export", "m.pt2"), ("model", "m.safetensors")):
        code, said, err = told_here("export", run_id, "--what", what, "--out", out)
        assert (code, err) == (0, ""), err
        assert said.endswith(f" tensors in {out}\n")
    trained = load_trained(open_database(), run_id)
    images = torch.from_numpy(trained.data.test.images[:5]).float() / 255
    with torch.no_grad():
        expected = trained.model.eval().cpu()(images)
        expected_of_one = trained.model(images[:1])  # kernels may differ by the number
    program = torch.export.load(folder / "m.pt2").module()
    assert torch.equal(program(images), expected)
    unpacked = folder / "unpacked"
    with zipfile.ZipFile(folder / "m.zip") as archive:
        archive.extractall(unpacked)
    tensors, alone = load_file(unpacked / "model.safetensors"), load_file(folder / "m.safetensors")
    assert tensors.keys() == alone.keys()  # other runs start from it
    assert all(torch.equal(tensors[name], alone[name]) for name in alone)
    assert len((unpacked / "load.py").read_text().split("\n\n", 1)[1].splitlines()) <= 16
    assert json.loads((unpacked / "classes.json").read_text()) == list(trained.data.class_names)
    torch.save(images, unpacked / "images.pt")
    subprocess.run([sys.executable, "-W", "error", "-c", ALONE], cwd=unpacked, check=True)
    logits, of_one = torch.load(unpacked / "logits.pt")
    assert torch.equal(logits, expected)
    assert torch.equal(of_one, expected_of_one)


def test_what_an_installation_lacks_is_one_line_that_says_what_to_install(
    told_here, sqlite_studio, monkeypatch
):
    run_id = sqlite_studio.queue()
    monkeypatch.setattr("tasks.results.export_request._is_installed", lambda name: False)
    for what, kind in KINDS.items():
        if not kind.extra:
            continue
        out = f"out{kind.endings[-1]}"
        code, said, err = told_here("export", run_id, "--what", what, "--out", out)
        assert (code, said, err.count("\n")) == (2, "", 1)
        assert f"pip install 'caat-studio[{kind.extra[0]}]'" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--what nothing --out x.csv", f"choose {', '.join(KINDS)} or {REPORT}"),
        ("--what model --out x.csv", "--out: the name must end in .zip or .safetensors"),
        ("--what onnx --out x.pt2", "--out: the name must end in .onnx"),
        ("--what card --out x", "--out: the name must end in .md"),
        ("--what suspects --out x.csv --by age", "--by: 'age' is unknown; choose weight, loss"),
        ("--what suspects --out x.csv --format tall", "--format: 'tall' is unknown; choose table"),
        ("--what metrics --out x.csv --by loss", "--by: metrics has none"),
        ("--what metrics --out x.csv --format cleanlab", "--format: metrics has none"),
        ("--what card --queue --by loss", "--by: card has none"),
        ("--what report --queue", "--what: 'report' cannot be queued; choose metrics"),
        ("--what torch-export --out x.pt2", "it has no checkpoint yet: train at least one epoch"),
        ("--what card --out x.md", "has not begun; a card needs what its trainer finds"),
        ("--what mlflow --out x.zip", "RUN: nothing of the kind is recorded yet"),
        ("--what suspects --out x.csv", "is queued; wait until it has ended, or stop it"),
    ],
)
def test_what_cannot_be_written_is_one_line_and_makes_no_file(
    told_here, sqlite_studio, words, said
):
    run_id = sqlite_studio.queue()
    before = set(sqlite_studio.folder.iterdir())
    code, out, err = told_here("export", run_id, *words.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert {file.name for file in set(sqlite_studio.folder.iterdir()) - before} <= {"data"}


def test_every_kind_has_a_writer_and_every_extra_that_one_needs_is_offered():
    assert KINDS.keys() - {"suspects"} == EXPORTS.keys()
    offered = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = offered["optional-dependencies"]
    for kind in KINDS.values():
        if kind.extra:
            extra, *modules = kind.extra
            names = {re.split(r"[<>=\[]", wanted)[0] for wanted in packages[extra]}
            assert set(modules) == names


def test_a_folder_of_a_packages_name_is_not_taken_for_the_package(tmp_path, monkeypatch):
    (tmp_path / "wandb_of_a_run").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert not _is_installed("wandb_of_a_run")
    assert _is_installed("json")
