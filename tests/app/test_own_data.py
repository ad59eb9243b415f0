"""A person's own data: from files to a run's class-wise errors, and what is left when they go."""

import json
import subprocess
import sys

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.own_data import upload
from tests.app.shown import words
from tests.engine.added import files as f

RUN = """
[data]
dataset = "photos"
[model]
backbone = "mlp"
[method]
name = "pgd-at"
[training]
epochs = 1
batch_size = 8
[evaluation]
num_steps = 1
val_num_steps = 1
"""


@pytest.fixture
def photos(studio, caat, tmp_path):
    """A folder of JPEGs that was added as ``photos``."""
    held = {f"{c}/{n}.jpg": f.image(16, kind="JPEG") for c in ("ant", "bee") for n in range(10)}
    path = f.folder(tmp_path / "photos", held | {"owl/0.jpg": f.image(20, kind="JPEG")})
    for row in (1, 2):
        f.folder(path, {f"owl/{row}.jpg": f.image(20, kind="JPEG")})
    assert caat("data", "add", str(path), "--name", "photos")[0] == 0
    return path


def complaints(err: str) -> list[str]:
    """Return what the command said; Streamlit's own tests may log beside it."""
    return [line for line in err.splitlines() if line.startswith("caat: ")]


def test_photos_in_folders_become_class_wise_errors_and_stay_readable_once_they_are_removed(
    photos, caat, tmp_path, open_page
):
    file = tmp_path / "run.toml"
    file.write_text(RUN)
    command = [sys.executable, "-m", "app.cli.main", "run", str(file), "--json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert told["status"] == "succeeded"
    classes = told["metrics"]["robust_error"]["per_class"]
    assert [(row["class"], row["n"]) for row in classes] == [("ant", 2), ("bee", 2), ("owl", 0)]
    page = open_page("run", id=told["run_id"], tab="classes")
    assert not page.exception
    assert caat("data", "remove", "photos")[0] == 0
    for tab in ("classes", "samples"):
        open_page("run", id=told["run_id"], tab=tab)
    open_page("samples", run=told["run_id"])
    assert "photos, which is not here any more" in words(open_page("new_run", like=told["run_id"]))
    for command in (["run", str(file)], ["evaluate", told["run_id"]]):
        code, _, err = caat(*command)
        assert (code, len(complaints(err))) == (2, 1)
        assert "photos" in complaints(err)[0]


def test_the_command_shows_what_it_found_and_adds_nothing_where_that_is_asked(photos, caat, studio):
    code, out, _ = caat("data", "add", str(photos), "--name", "again", "--dry-run")
    assert code == 0
    assert "owl" in out
    assert "drawn for the test part" in out
    assert out.endswith("again: checked, nothing was added\n")
    code, _, line = caat("data", "add", str(photos), "--name", "again")
    assert code == 2
    assert line == (
        "caat: the same images and labels are here already, as photos; nothing was added\n"
    )
    found = json.loads(caat("data", "list", "--json")[1])["datasets"]
    assert [one["name"] for one in found] == ["photos"]
    assert json.loads(caat("data", "show", "photos", "--json")[1])["test_counts"] == [2, 2, 0]


@pytest.mark.parametrize("command", ["show", "remove"])
@pytest.mark.parametrize("name", ["nothing", "digits", "../x", "<script>"])
def test_what_was_not_added_is_neither_shown_nor_removed(command, name, caat, studio):
    code, _, err = caat("data", command, name)
    assert (code, len(complaints(err))) == (2, 1)
    assert complaints(err)[0].startswith("caat: NAME: ")


def uploaded(page: AppTest, data: bytes, name: str, file: str = "my.npz") -> AppTest:
    page.get("file_uploader")[0].upload(file, data, "application/octet-stream").run()
    page.text_input(key="own-data-name").input(name)
    return page.button(key="own-data-check").click().run()


def test_an_upload_is_shown_first_added_by_a_click_and_then_listed_on_new_run(
    open_page, studio, tmp_path
):
    path = f.npz(tmp_path / "my.npz", names=np.array(["ant", "<b>bee</b>", "owl"]))
    page = uploaded(open_page("data"), path.read_bytes(), "mine")
    assert "is checked, and not added yet" in words(page)
    assert not page.exception
    assert "mine" not in open_page("new_run").selectbox(key="scenario.data.dataset").options
    page.button(key="own-data-add").click().run()
    assert not page.exception
    assert "mine is added" in words(page)
    assert "mine" in open_page("new_run").selectbox(key="scenario.data.dataset").options
    page = open_page("data")
    page.button(key="remove-mine").click().run()
    page.button(key="confirm-yes").click().run()
    assert "None yet" in words(open_page("data"))


def test_a_bad_upload_is_one_line_on_the_page(open_page, studio, tmp_path):
    path = f.npz(tmp_path / "my.npz", y=f.labels() - 1)
    page = uploaded(open_page("data"), path.read_bytes(), "mine")
    assert not page.exception
    assert len(page.error) == 1
    assert "row 0" in page.error[0].value
    assert upload.STAGED not in page.session_state
