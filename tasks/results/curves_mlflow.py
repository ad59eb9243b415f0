"""Curves in the layout of MLflow's file store, which needs no package to be written.

Format: ``mlruns/EXPERIMENT/RUN/`` with ``meta.yaml``, ``params/NAME`` (the value), ``tags/NAME``
and ``metrics/NAME`` (a line ``timestamp value step`` a point; timestamps in milliseconds), and
``artifacts`` with the model card, as
`mlflow.store.tracking.file_store` reads it. MLflow 3 has put that store in maintenance and takes it
over by ``mlflow migrate-filestore`` (mlflow.org/docs/latest/self-hosting/migrate-from-file-store);
with ``MLFLOW_ALLOW_FILE_STORE=true`` it still opens the folder itself.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from db.models import RunStatus
from db.session import Database
from engine.names import visible
from tasks.escaping import for_json
from tasks.results.curves import Curves, curves
from tasks.results.model_card import model_card
from tasks.results.zip_file import write_zip

EXPERIMENT = "caat-studio"
EXPERIMENT_ID = "100000000000000001"
"""MLflow's are numbers of 18 digits; runs that are unpacked into one folder share it."""
STATUS = {RunStatus.SUCCEEDED: 3, RunStatus.FAILED: 4, RunStatus.CANCELLED: 5}
"""Of `mlflow.entities.RunStatus`; others are RUNNING, 1."""


def write(database: Database, run_id: str, out: Path) -> int:
    """Write a zip of a folder ``mlruns``; return how many values are in it."""
    found = curves(database, run_id)
    files = _files(found) | {f"{_place(found)}/artifacts/card.md": model_card(database, run_id)}
    write_zip(out, {name: text.encode() for name, text in files.items()})
    return len(found.points)


def _place(found: Curves) -> str:
    return f"mlruns/{EXPERIMENT_ID}/{found.run.id}"


def _files(found: Curves) -> dict[str, str]:
    place = _place(found)
    return {
        f"mlruns/{EXPERIMENT_ID}/meta.yaml": _yaml(_experiment(found)),
        f"{place}/meta.yaml": _yaml(_run(found)),
        **{f"{place}/params/{name}": visible(value) for name, value in found.settings.items()},
        **{f"{place}/tags/{name}": value for name, value in _tags(found).items()},
        **{f"{place}/metrics/{tag}": text for tag, text in _metrics(found).items()},
    }


def _experiment(found: Curves) -> dict[str, Any]:
    at = _milliseconds(found.run.created_at.timestamp())
    return {
        "artifact_location": f"mlruns/{EXPERIMENT_ID}",
        "creation_time": at,
        "experiment_id": EXPERIMENT_ID,
        "last_update_time": at,
        "lifecycle_stage": "active",
        "name": EXPERIMENT,
    }


def _run(found: Curves) -> dict[str, Any]:
    run = found.run
    return {
        "artifact_uri": f"{_place(found)}/artifacts",
        "end_time": None if run.ended_at is None else _milliseconds(run.ended_at.timestamp()),
        "entry_point_name": "",
        "experiment_id": EXPERIMENT_ID,
        "lifecycle_stage": "active",
        "run_id": run.id,
        "run_name": visible(found.title),
        "run_uuid": run.id,
        "source_name": "",
        "source_type": 4,
        "source_version": "",
        "start_time": _milliseconds((run.started_at or run.created_at).timestamp()),
        "status": STATUS.get(run.status, 1),
        "tags": [],
        "user_id": "",
    }


def _tags(found: Curves) -> dict[str, str]:
    run = found.run
    return {
        "mlflow.runName": visible(found.title),
        "caat.method": run.method,
        "caat.dataset": run.dataset,
        "caat.data_digest": run.data_digest or "",
        "caat.evaluation_card": for_json(run.evaluation_card or {}),
    }


def _metrics(found: Curves) -> dict[str, str]:
    lines: dict[str, list[str]] = defaultdict(list)
    stamp = _milliseconds(found.when)
    for point in found.points:
        lines[point.tag].append(f"{stamp} {point.value!r} {point.step}\n")
    return {tag: "".join(each) for tag, each in lines.items()}


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _yaml(values: Mapping[str, Any]) -> str:
    """Return the values as YAML, of which JSON is a part."""
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in values.items())
