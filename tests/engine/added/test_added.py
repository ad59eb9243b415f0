"""What is added is what was given, whatever the form; and it is served like any other dataset."""

import io
import threading

import numpy as np
import pytest
from PIL import Image

from engine.data import folder as data_folder
from engine.data.added import decode
from engine.data.added.dataset import AddedDataset
from engine.data.added.reading import read
from engine.data.added.shelf import added_to, require_free_name
from engine.data.added.staging import Options, remove, stage
from engine.data.config import DataConfig
from engine.data.datasets.base import datasets
from engine.data.fingerprint import fingerprint, require_unchanged
from engine.data.preparation import prepare, require_every_label
from engine.errors import UserError
from engine.new_scenario import new_scenario
from engine.types import DeviceImages
from tests.engine.added import files as f
from tests.engine.mistakes import mistakes_of


@pytest.fixture
def folder(tmp_path, monkeypatch):
    kept = tmp_path / "datasets"
    monkeypatch.setattr(data_folder, "_folder", lambda: kept)
    return kept


def put(path, name, folder, test=None, **options):
    return stage(read(path, test), name, folder, options=Options(**options)).keep(folder)


def whole(dataset, folder):
    """Return all images and labels of both parts by origin."""
    found = {}
    for part, images in zip(("train", "test"), dataset.load(folder), strict=True):
        for row in range(len(images)):
            where = dataset.origin(part, int(images.source[row]))
            found[where] = (images.images[row], dataset.class_names[images.true_labels[row]])
    return found


def contents(found):
    return sorted((image.tobytes(), label) for image, label in found.values())


X, Y = f.pixels(30), f.labels(30)
FORMS = {
    "channels last": (X, X.transpose(0, 3, 1, 2)),
    "channels first": (np.ascontiguousarray(X.transpose(0, 3, 1, 2)), X.transpose(0, 3, 1, 2)),
    "grey": (X[..., 0].copy(), X[:, None, :, :, 0]),
    "one channel last": (X[..., :1].copy(), X[:, None, :, :, 0]),
    "floats": ((X / 255).astype(np.float32), X.transpose(0, 3, 1, 2)),
    "half floats": ((X / 255).astype(np.float16), X.transpose(0, 3, 1, 2)),
    "floats of the other order": ((X / 255).astype(">f8"), X.transpose(0, 3, 1, 2)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("labels", [Y, Y[:, None].astype(np.uint8), Y.astype(">i2")])
def test_arrays_are_kept_value_by_value(form, labels, folder, tmp_path):
    given, expected = FORMS[form]
    put(f.npz(tmp_path / "a.npz", x=given, y=labels), "mine", folder)
    found = whole(datasets()["mine"], folder)
    for row in range(30):
        pixels, label = found[f"a.npz, row {row}"]
        assert np.array_equal(pixels, expected[row])
        assert label == str(Y[row])


def test_a_folder_a_zip_a_list_and_parquet_of_the_same_images_give_the_same_images(
    folder, tmp_path
):
    held = f.tree(each=6)
    f.folder(tmp_path / "photos", held | {"ant/notes.txt": b"hello", ".DS_Store": b""})
    f.archive(tmp_path / "photos.zip", [(f"photos/{n}", data) for n, data in held.items()])
    lines = "".join(f"photos/{name},{name[:3]}\n" for name in held)
    (tmp_path / "list.csv").write_text("\ufeffPath,label\n" + lines)
    images = [{"bytes": data, "path": name} for name, data in held.items()]
    f.parquet(tmp_path / "p.parquet", images, [name[:3] for name in held])
    seen = []
    for number, name in enumerate(("photos", "photos.zip", "list.csv", "p.parquet")):
        one = stage(read(tmp_path / name), f"d{number}", folder)
        assert one.same_as == ("d0" if number else None)
        seen.append(whole(one.dataset, folder))
        one.keep(folder) if number == 0 else one.drop()
    for other in seen[1:]:
        assert contents(seen[0]) == contents(other)
    assert list(seen[0]) == [name for name in seen[0] if name in held]
    left = "1 files are left out"
    assert any(left in line for line in datasets()["d0"].facts.findings)


def test_a_turned_photo_is_set_upright_transparency_is_white_and_the_middle_is_kept():
    upright = decode.decoded(f.turned(), 1, 32)[0].astype(int)
    assert upright[:14].min() > 200
    assert upright[18:].max() < 60
    clear = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    sink = io.BytesIO()
    clear.save(sink, "PNG")
    assert (decode.decoded(sink.getvalue(), 3, 16) == 255).all()
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = 255
    sink = io.BytesIO()
    Image.fromarray(wide).save(sink, "PNG")
    assert (decode.decoded(sink.getvalue(), 3, 16) == 255).all()


def test_images_of_many_sizes_are_stored_at_the_size_that_is_asked_for_or_their_median(
    folder, tmp_path
):
    held = {f"{c}/{n}.png": f.image(n, mode="L") for c in "ab" for n in (10, 20, 30, 40, 200)}
    path = f.folder(tmp_path / "p", held)
    assert (put(path, "median", folder).size, put(path, "asked", folder, size=16).size) == (30, 16)
    assert datasets()["asked"].channels == 1
    for wrong in (7, 225, -1):
        with pytest.raises(UserError, match="--size"):
            put(path, "other", folder, size=wrong)


def test_a_training_image_that_is_a_test_image_too_is_left_out_of_training(folder, tmp_path):
    x = f.pixels(30)
    train = f.npz(tmp_path / "train.npz", x=x, y=f.labels(30))
    test = f.npz(tmp_path / "test.npz", x=x[:4], y=f.labels(4))
    one = put(train, "mine", folder, test)
    assert (sum(one.train_counts), one.test_counts) == (26, (2, 1, 1))
    assert any("4 training images are in the test part" in line for line in one.facts.findings)


def test_no_image_that_is_there_twice_is_drawn_for_the_test_part(folder, tmp_path):
    x = f.pixels(40)
    path = f.npz(tmp_path / "a.npz", x=np.concatenate([x, x[:20]]), y=np.arange(60) % 2)
    train, test = put(path, "mine", folder).load(folder)
    inside = {row.tobytes() for row in train.images[:]}
    assert len(test)
    assert not inside & {row.tobytes() for row in test.images[:]}


def test_known_noise_is_what_training_is_told_and_nothing_else_is(folder, tmp_path):
    true = np.arange(60) % 3
    given = np.where(np.arange(60) % 10 == 0, (true + 1) % 3, true)
    put(f.npz(tmp_path / "a.npz", x=f.pixels(60), y=given, true_labels=true), "noisy", folder)
    data = prepare(new_scenario({"data": {"dataset": "noisy"}}).data, 0, folder)
    for images in (data.meta, data.validation, data.test):
        assert (images.labels == images.true_labels).all()
    assert (data.train.labels != data.train.true_labels).any()
    wrong = {"data": {"dataset": "noisy", "noise": {"ratio": 0.1}}}
    assert list(mistakes_of(wrong)) == ["data.noise.ratio"]
    require_every_label(DataConfig(dataset="noisy"), 0, folder)


def test_a_class_may_be_missing_from_the_test_part(folder, tmp_path):
    x, y = f.pixels(33), np.array([0] * 15 + [1] * 15 + [2] * 3)
    assert put(f.npz(tmp_path / "a.npz", x=x, y=y), "mine", folder).test_counts == (3, 3, 0)
    asked = {"dataset": "mine", "test_size": 4, "meta_per_class": 1, "val_per_class": 1}
    data = prepare(new_scenario({"data": asked}).data, 0, folder)
    assert np.bincount(data.test.labels, minlength=3).tolist() == [2, 2, 0]
    asked["test_size"] = 1
    assert "data.test_size" in mistakes_of({"data": asked})


def test_mapped_images_give_the_batches_that_images_in_memory_give(folder, tmp_path):
    import torch

    train, _ = put(f.npz(tmp_path / "a.npz", x=X, y=Y), "mine", folder).load(folder)
    some = train.take(np.array([5, 1, 7, 7])).followed_by(train.take(np.array([0])))
    on_device = some.to(torch.device("cpu"))
    assert isinstance(on_device, DeviceImages)
    batch = on_device.batch(torch.tensor([4, 0, 2]))
    expected = torch.from_numpy(train.images[[0, 5, 7]]).float() / 255
    assert torch.equal(batch.x, expected)
    assert np.array_equal(np.asarray(some.images), train.images[[5, 1, 7, 7, 0]])


def test_one_of_two_who_add_under_one_name_wins_and_the_other_is_told(folder, tmp_path):
    path = f.npz(tmp_path / "a.npz", x=X, y=Y)
    staged = [stage(read(path), "mine", folder) for _ in range(2)]
    said = []

    def keep(one):
        try:
            said.append(one.keep(folder))
        except UserError as error:
            said.append(str(error))
            one.drop()

    threads = [threading.Thread(target=keep, args=(one,)) for one in staged]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(type(one) is AddedDataset for one in said) == [False, True]
    assert any("is taken" in one for one in said if isinstance(one, str))


def test_what_is_removed_is_unknown_and_what_comes_in_its_place_is_another(folder, tmp_path):
    put(f.npz(tmp_path / "a.npz", x=X, y=Y), "mine", folder)
    before = fingerprint(datasets()["mine"], folder)
    assert before == datasets()["mine"].facts.fingerprint
    remove(folder, "mine")
    assert "mine" not in datasets()
    put(f.npz(tmp_path / "a.npz", x=f.pixels(30), y=Y), "mine", folder)
    with pytest.raises(UserError, match="has changed since launch"):
        require_unchanged(datasets()["mine"], folder, before)


@pytest.mark.parametrize("name", ["", "A", "a b", "../x", "digits", "-x", "a" * 65, "ä", "a\n"])
def test_a_name_is_short_plain_and_not_taken(name, folder):
    with pytest.raises(UserError, match="--name") as error:
        require_free_name(folder, name)
    assert "\n" not in str(error.value)


def test_a_damaged_file_is_told_and_damaged_facts_hide_nothing_else(folder, tmp_path):
    path = f.npz(tmp_path / "a.npz", x=X, y=Y)
    one, other = put(path, "one", folder), stage(read(path), "two", folder).keep(folder)
    (one.place / "train-images.npy").write_bytes(b"not an array")
    (other.place / "facts.json").write_text("{")
    with pytest.raises(UserError, match=r"train-images.npy is damaged.*; remove one"):
        one.load(folder)
    assert list(added_to(folder)) == ["one"]
