"""A run's records as files, whole: nothing is sampled or rounded."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from safetensors.torch import save

from db.evaluations import evaluations, outcomes
from db.reads import queries, series
from db.session import Database
from engine.errors import UserError
from engine.training.selection import deployed
from tasks.escaping import frame_for_csv
from tasks.processes.process import output_file, require_place
from tasks.recording.checkpoints import search
from tasks.settings import settings


def export(database: Database, run_id: str, what: str, *, out: Path) -> int:
    """Write one kind of a run's records and return how many rows (for a model: tensors).

    Args:
        database: Where the run is.
        run_id: Which run.
        what: ``metrics``, ``classes``, ``samples``, ``evaluations`` or ``model``.
        out: ``.csv`` or ``.parquet``; for a model ``.safetensors``.

    Raises:
        UserError: There is nothing to export yet, or the file's ending does not fit.
    """
    if what not in EXPORTS:
        raise UserError(f"--what: {what!r} is unknown; choose {', '.join(EXPORTS)} or report")
    require_place(out)
    return EXPORTS[what](database, run_id, out)


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
    if out.suffix not in kinds:
        raise UserError(f"--out: {out.name} must end in .csv or .parquet")
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


def _model(database: Database, run_id: str, out: Path) -> int:
    """Write the newest checkpoint's model: the best or averaged one if the run keeps one.

    Its first layer is the normalisation.
    """
    if out.suffix != ".safetensors":
        raise UserError(f"--out: {out.name} must end in .safetensors")
    with database.read() as session:
        rows = queries.checkpoints(session, run_id)
    searched = search(settings().data_dir, rows)
    found = searched.found
    if found is None:
        raise UserError(f"RUN: {run_id}: {searched.why_none()}")
    model = deployed(found[1], found[0])
    content = save(model.weights, {"epoch": str(model.epoch), "run": run_id})
    with output_file(out) as file:
        file.write(content)
    return len(model.weights)


def _evaluations(database: Database, run_id: str, out: Path) -> int:
    return _write(_outcome_frames(database, run_id), out)


def _outcome_frames(database: Database, run_id: str) -> Iterator[pd.DataFrame]:
    """Give one row per test image, an evaluation at a time."""
    with database.read() as session:
        for row in evaluations(session, run_id):
            said = outcomes(session, run_id, row.name)
            if said is not None:
                yield pd.DataFrame({"evaluation": row.name, **said})


EXPORTS: dict[str, Callable[[Database, str, Path], int]] = {
    "metrics": _metrics,
    "classes": _classes,
    "samples": _samples,
    "evaluations": _evaluations,
    "model": _model,
}
