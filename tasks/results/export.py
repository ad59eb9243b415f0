"""A run's records as files, whole: nothing is sampled or rounded."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from db.evaluations import evaluations, outcomes
from db.reads import queries, series
from db.session import Database
from engine.errors import UserError
from tasks.escaping import frame_for_csv
from tasks.processes.process import output_file, require_place
from tasks.results.export_request import ExportRequest


def export(database: Database, run_id: str, request: ExportRequest, *, out: Path) -> int:
    """Write what is asked for of a run and return how many of its kind's units that are.

    Args:
        database: Where the run is.
        run_id: Which run.
        request: What is asked for.
        out: The file; its name ends as the kind's files do.

    Raises:
        UserError: There is nothing to export yet, the file's ending does not fit, or a package that
            this kind needs is not installed.
    """
    request.require_known()
    require_place(out)
    request.require_ending(out.suffix)
    request.kind.require_extra()
    if request.what == "suspects":
        return _suspects(database, run_id, out, request=request)
    return EXPORTS[request.what](database, run_id, out)


def _metrics(database: Database, run_id: str, out: Path) -> int:
    with database.read() as session:
        frame = series.metrics(session, run_id)
    return _write(iter([frame]), out)


def _classes(database: Database, run_id: str, out: Path) -> int:
    with database.read() as session:
        frame = series.class_metrics(session, run_id)
        run = queries.get_run(session, run_id)
    names = (run.facts or {}).get("class_names", []) if run else []
    frame["class"] = [names[index] for index in frame["class_index"]]
    return _write(iter([frame]), out)


def _samples(database: Database, run_id: str, out: Path) -> int:
    return _write(_sample_frames(database, run_id), out)


def _sample_frames(database: Database, run_id: str) -> Iterator[pd.DataFrame]:
    """Give one row per training sample, an epoch at a time."""
    with database.read() as session:
        who = series.snapshot(session, run_id, 0, kind="samples")
        for epoch, columns in series.snapshots(session, run_id, "assignment"):
            given = {name: who[name] for name in ("given_label", "true_label")} if who else {}
            sample = columns.pop("sample")
            yield pd.DataFrame({"epoch": np.int64(epoch), "sample": sample, **given, **columns})


def _write(frames: Iterator[pd.DataFrame], out: Path) -> int:
    kinds = {".csv": pyarrow.csv.CSVWriter, ".parquet": pyarrow.parquet.ParquetWriter}
    first = next(frames, None)
    if first is None or first.empty:
        raise UserError("RUN: nothing of the kind is recorded yet")
    as_cells = frame_for_csv if out.suffix == ".csv" else _as_it_is
    table = pa.Table.from_pandas(as_cells(first), preserve_index=False, nthreads=1)
    rows = 0
    with output_file(out) as file, kinds[out.suffix](file, table.schema) as writer:
        while True:
            writer.write_table(table)
            rows += len(table)
            following = next(frames, None)
            if following is None:
                return rows
            table = pa.Table.from_pandas(
                as_cells(following), schema=table.schema, preserve_index=False, nthreads=1
            )


def _as_it_is(table: pd.DataFrame) -> pd.DataFrame:
    return table


def _evaluations(database: Database, run_id: str, out: Path) -> int:
    return _write(_outcome_frames(database, run_id), out)


def _outcome_frames(database: Database, run_id: str) -> Iterator[pd.DataFrame]:
    """Give one row per test image, an evaluation at a time."""
    with database.read() as session:
        for row in evaluations(session, run_id):
            said = outcomes(session, run_id, row.name)
            if said is not None:
                yield pd.DataFrame({"evaluation": row.name, **said})


def _suspects(database: Database, run_id: str, out: Path, *, request: ExportRequest) -> int:
    from tasks.results.suspects import suspects_asked

    return _write(iter([suspects_asked(database, run_id, request)]), out)


def _model(database: Database, run_id: str, out: Path) -> int:
    from tasks.results import model_files

    write = model_files.write_bundle if out.suffix == ".zip" else model_files.write_weights
    return write(database, run_id, out)


def _torch_export(database: Database, run_id: str, out: Path) -> int:
    from tasks.results import model_files

    return model_files.write_program(database, run_id, out)


def _onnx(database: Database, run_id: str, out: Path) -> int:
    from tasks.results import model_files

    return model_files.write_onnx(database, run_id, out)


def _card(database: Database, run_id: str, out: Path) -> int:
    from tasks.results.model_card import model_card

    text = model_card(database, run_id)
    with output_file(out) as file:
        file.write(text.encode())
    return text.count("\n")


def _tensorboard(database: Database, run_id: str, out: Path) -> int:
    from tasks.results import curves_tensorboard

    return curves_tensorboard.write(database, run_id, out)


def _mlflow(database: Database, run_id: str, out: Path) -> int:
    from tasks.results import curves_mlflow

    return curves_mlflow.write(database, run_id, out)


def _wandb(database: Database, run_id: str, out: Path) -> int:
    from tasks.results import curves_wandb

    return curves_wandb.write(database, run_id, out)


EXPORTS: dict[str, Callable[[Database, str, Path], int]] = {
    "metrics": _metrics,
    "classes": _classes,
    "samples": _samples,
    "evaluations": _evaluations,
    "model": _model,
    "torch-export": _torch_export,
    "onnx": _onnx,
    "card": _card,
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "wandb": _wandb,
}
"""Of every kind but suspects, which are told more than a place; each loads what it needs."""
