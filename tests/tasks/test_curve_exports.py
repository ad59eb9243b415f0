"""Curves in the files of other trackers, read back by the trackers' own readers where they are."""

import json
import zipfile
from importlib.util import find_spec

import pytest

from db.reads import series
from db.writes import records
from tasks.results import curves_mlflow, curves_tensorboard, curves_wandb
from tasks.results.curves import curves
from tasks.results.model_card import model_card
from tasks.settings import settings
from tests.app.recorded import facts
from tests.app.studio import Studio

HOSTILE = [
    "<script>", "a/b", "..", "🙂", "x\ny", "| pipe", "[a](b)", "same", "same", "長い" * 60,
]  # fmt: skip


@pytest.fixture
def run(sqlite_database, data_dir, monkeypatch):
    """A finished run of three epochs whose classes and name want to break out."""
    monkeypatch.setenv("CAAT_DATA_DIR", str(data_dir))
    settings.cache_clear()
    studio = Studio(sqlite_database)
    run_id = studio.finished("../<b>| `evil`")
    with sqlite_database.write() as session:
        records.write_facts(session, run_id, facts() | {"class_names": HOSTILE})
    yield run_id
    settings.cache_clear()


@pytest.fixture
def expected(sqlite_database, run):
    """(split, name) -> (step, value) of each point, as the database has it."""
    with sqlite_database.read() as session:
        table = series.metrics(session, run)
    rows = table.groupby(["split", "name"])
    return {key: list(zip(part["step"], part["value"], strict=True)) for key, part in rows}


def unpacked(out, folder):
    with zipfile.ZipFile(out) as archive:
        assert all(".." not in name.split("/") for name in archive.namelist())
        archive.extractall(folder)
    return folder


def test_every_value_is_in_a_curve_of_its_own_and_classes_share_none(sqlite_database, run):
    found = curves(sqlite_database, run)
    with sqlite_database.read() as session:
        by_class = series.class_metrics(session, run)
        total = len(series.metrics(session, run)) + len(by_class)
    assert len({(point.tag, point.step) for point in found.points}) == len(found.points) == total
    for point in found.points:
        if "_by_class/" in point.tag:
            assert point.step == 10 * point.epoch
    tags = {point.tag.rpartition("/")[2] for point in found.points if "_by_class/" in point.tag}
    assert {"0 _script_", "1 a_b", "2", "7 same", "8 same"} <= tags
    assert found.settings["method.name"] == "caat"


def test_the_file_store_is_mlflows_layout(sqlite_database, run, expected, tmp_path):
    number = curves_mlflow.write(sqlite_database, run, tmp_path / "out.zip")
    place = unpacked(tmp_path / "out.zip", tmp_path) / "mlruns" / curves_mlflow.EXPERIMENT_ID / run
    lines = [line for file in place.glob("metrics/**/*") if file.is_file()
             for line in file.read_text().splitlines()]  # fmt: skip
    assert len(lines) == number == len(curves(sqlite_database, run).points)
    for (split, name), points in expected.items():
        rows = (place / "metrics" / split / name).read_text().splitlines()
        assert [(int(r.split()[2]), float(r.split()[1])) for r in rows] == points
    told = dict(line.split(": ", 1) for line in (place / "meta.yaml").read_text().splitlines())
    assert json.loads(told["run_name"]) == "../<b>| `evil`"
    assert (json.loads(told["status"]), json.loads(told["lifecycle_stage"])) == (3, "active")
    assert (place / "params" / "training.epochs").read_text() == "3"
    assert (place / "artifacts" / "card.md").read_text() == model_card(sqlite_database, run)


@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed")
def test_mlflow_reads_the_file_store(sqlite_database, run, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow.tracking import MlflowClient

    curves_mlflow.write(sqlite_database, run, tmp_path / "out.zip")
    unpacked(tmp_path / "out.zip", tmp_path)
    client = MlflowClient(f"file://{tmp_path}/mlruns")
    (row,) = client.search_runs([curves_mlflow.EXPERIMENT_ID])
    assert (row.info.run_id, row.info.status) == (run, "FINISHED")
    assert row.data.params["method.name"] == "caat"
    for (split, name), points in expected.items():
        history = client.get_metric_history(run, f"{split}/{name}")
        assert sorted((each.step, each.value) for each in history) == sorted(points)


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_tensorboard_reads_the_event_files(sqlite_database, run, expected, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    number = curves_tensorboard.write(sqlite_database, run, tmp_path / "out.zip")
    unpacked(tmp_path / "out.zip", tmp_path / "logs")
    (file,) = (tmp_path / "logs").rglob("*tfevents*")
    reader = EventAccumulator(str(file), size_guidance={"scalars": 0})
    reader.Reload()
    assert sum(len(reader.Scalars(tag)) for tag in reader.Tags()["scalars"]) == number
    for (split, name), points in expected.items():
        found = [(each.step, each.value) for each in reader.Scalars(f"{split}/{name}")]
        assert found == [(step, pytest.approx(value, rel=1e-6)) for step, value in points]


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_wandbs_records_hold_every_value_and_nothing_of_the_host(
    sqlite_database, run, expected, tmp_path
):
    from wandb.proto.wandb_internal_pb2 import Record

    curves_wandb.write(sqlite_database, run, tmp_path / "out.zip")
    unpacked(tmp_path / "out.zip", tmp_path / "logs")
    (file,) = (tmp_path / "logs").rglob("*.wandb")
    rows = []
    for content in of_log(file.read_bytes()):
        record = Record.FromString(content)
        if record.HasField("run"):
            assert not record.run.host
        if record.HasField("history"):
            items = record.history.item
            rows.append({"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items})
    for (split, name), points in expected.items():
        key = f"{split}/{name}"
        assert [(row["_step"], row[key]) for row in rows if key in row] == points


def of_log(content: bytes):
    """Give the records of a LevelDB log, which W&B's file is behind its head of seven bytes."""
    place, whole = 7, b""
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        size, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        whole += content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield whole
            whole = b""


def test_a_card_shows_every_name_letter_by_letter_in_the_table_of_its_class(sqlite_database, run):
    card = model_card(sqlite_database, run)
    assert card.startswith("# Model card: ../\\<b\\>\\| \\`evil\\`\n")
    section = card.split("## By class\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert len(rows) == 10
    for row in rows:
        assert row.replace("\\|", "").count("|") == 6
        assert row.count(" to ") == 3
    assert "\\<script\\>" in rows[0]
    for told in ("0123456789abcdef" * 4, "## Evaluation card: final", "## Limits", '"method": {'):
        assert told in card
