"""The model card of a run in Markdown: what it is for, how it was measured, class by class.

The sections follow Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019). Every number is
one that the run has stored, beside the protocol that it was measured by.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from db.evaluations import evaluations, outcomes
from db.models import FINAL
from db.reads import queries
from db.reads.rows import EvaluationRow, RunDetail
from db.session import Database
from engine.errors import UserError
from engine.evaluation.error_names import ERRORS, ROBUST_ERROR
from engine.evaluation.statistics import wilson
from engine.numbers import exactly, in_255ths
from tasks.escaping import for_markdown
from tasks.results.metrics import metrics_in_full

FEW = 100
"""Test images of a class, below which its interval is wide."""


@dataclass(frozen=True)
class Attack:
    """One stored look at the test images, and its errors as `metrics_in_full` gives them."""

    row: EvaluationRow
    errors: Mapping[str, Any]


def model_card(database: Database, run_id: str) -> str:
    """Return the card, ending in a line break.

    Raises:
        UserError: The run is gone, or its trainer has told nothing yet.
    """
    with database.read() as session:
        run = queries.get_run(session, run_id)
        if run is None:
            raise UserError(f"RUN: there is no run {run_id}")
        if not run.facts:
            raise UserError(f"RUN: {run_id} has not begun; a card needs what its trainer finds")
        names = [str(name) for name in run.facts["class_names"]]
        found = [
            Attack(row, metrics_in_full(said, names))
            for row in evaluations(session, run_id)
            if row.kind == "attack" and (said := outcomes(session, run_id, row.name)) is not None
        ]
        measured = queries.final_metrics(session, run_id)
    final = next((attack.errors for attack in found if attack.row.name == FINAL), None)
    return "\n".join(_lines(run, found, final or _with_intervals(measured))) + "\n"


def _with_intervals(measured: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return errors of a run that stored no answers, with the intervals that they would have."""
    told: dict[str, Any] = {}
    for name, error in (measured or {}).items():
        rows = [row for row in error["per_class"] if row["n"]]
        low, high = wilson([row["value"] for row in rows], [row["n"] for row in rows])
        ends = zip(rows, low, high, strict=True)
        per_class = [row | {"low": float(a), "high": float(b)} for row, a, b in ends]
        told[name] = {**error, "per_class": per_class}
    return told


def _lines(run: RunDetail, found: list[Attack], final: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Model card: {for_markdown(run.name or run.method)}"
    yield from _model(run)
    yield from _use(run)
    yield from _results(run, found, final)
    yield from _by_class(final)
    yield from _data(run)
    yield from _limits(run, found, final)
    for attack in found:
        yield from _section(f"Evaluation card: {for_markdown(attack.row.name)}")
        yield from _pairs(attack.row.card)
    yield from _section("Scenario")
    yield "Everything that decides the run; equal scenarios train equal models."
    yield from ("", "```json", _as_json(run.scenario), "```")


def _section(title: str) -> tuple[str, str, str]:
    return ("", f"## {title}", "")


def _model(run: RunDetail) -> Iterator[str]:
    facts = run.facts or {}
    yield from _section("Model")
    told = {
        "method": run.method,
        "backbone": run.scenario["model"]["name"],
        "parameters": facts.get("num_parameters"),
        "weights": (run.evaluation_card or {}).get("checkpoint", f"epoch {run.epoch}, not tested"),
        "epochs": f"{run.epoch} of {run.num_epochs}",
        "seed": run.seed,
        "run": run.id,
        "ended": "" if run.ended_at is None else f"{run.ended_at:%Y-%m-%d %H:%M} UTC",
        "versions": facts.get("versions"),
    }
    yield from _pairs(told)


def _use(run: RunDetail) -> Iterator[str]:
    yield from _section("Intended use")
    yield f"It classifies images like those of {for_markdown(run.dataset)}: (N, channels, h, w)"
    yield "with pixels in [0, 1] (the normalisation is its first layer) to logits of the classes"
    yield "below. It is made to study robustness and fairness between classes, within the ball that"
    yield "it was measured in; not for images of another source, for classes that are not listed,"
    yield "or for decisions about people. The error of its worst class, not its average, is what to"
    yield "plan for."


def _results(run: RunDetail, found: list[Attack], final: Mapping[str, Any]) -> Iterator[str]:
    yield from _section("Results")
    if not final:
        yield "It was not tested: no number of it can be told."
        return
    told = [(attack.row.name, attack.row.card, attack.errors) for attack in found]
    rows = [
        [for_markdown(name), _ball(card), *map(_whole, _of(errors))]
        for name, card, errors in told or [("as tested", run.evaluation_card or {}, final)]
    ]
    yield from _table(["evaluation", "attack", *map(_words, ERRORS)], rows)


def _of(errors: Mapping[str, Any]) -> list[Mapping[str, Any] | None]:
    return [errors.get(name) for name in ERRORS]


def _whole(error: Mapping[str, Any] | None) -> str:
    if error is None:
        return "not measured"
    worst = f"{error['worst']:.1%} in {for_markdown(str(error['worst_class']))}"
    return f"{error['average']:.1%}, worst class {worst}"


def _ball(card: Mapping[str, Any] | None) -> str:
    if not card or card.get("epsilon") is None:
        return "not told"
    label, norm = (for_markdown(str(card.get(name))) for name in ("label", "norm"))
    return f"{label}, {norm} {in_255ths(float(card['epsilon']))}, n: {card['n']}"


def _by_class(final: Mapping[str, Any]) -> Iterator[str]:
    if not final:
        return
    yield from _section("By class")
    yield "With 95 % intervals (Wilson), from the number of test images alone."
    yield ""
    columns = {name: final[name]["per_class"] for name in ERRORS if name in final}
    first = next(iter(columns.values()))
    rows = [
        [
            for_markdown(row["class"]),
            str(row["n"]),
            *(_interval(column[place]) for column in columns.values()),
        ]
        for place, row in enumerate(first)
    ]
    yield from _table(["class", "n", *map(_words, columns)], rows)


def _interval(row: Mapping[str, Any]) -> str:
    if not row["n"] or row["value"] is None:
        return "no image"
    return f"{row['value']:.1%} ({row['low']:.1%} to {row['high']:.1%})"


def _data(run: RunDetail) -> Iterator[str]:
    facts = run.facts or {}
    yield from _section("Data")
    told = {
        "dataset": run.dataset,
        "fingerprint": run.data_digest or facts.get("data_digest"),
        **{f"{part} images": facts.get(f"num_{part}") for part in _PARTS},
        "wrong labels put in": facts.get("flipped_labels"),
        "noise": run.scenario["data"].get("noise"),
        "imbalance": run.scenario["data"].get("imbalance"),
    }
    yield from _pairs(told)
    names, counts = facts["class_names"], facts.get("class_counts") or []
    yield ""
    rows = [[for_markdown(n), str(k)] for n, k in zip(names, counts, strict=False)]
    yield from _table(["class", "training images with this label"], rows)


_PARTS = ("train", "meta", "validation", "test")


def _limits(run: RunDetail, found: list[Attack], final: Mapping[str, Any]) -> Iterator[str]:
    yield from _section("Limits")
    yield "- One seed: another may give other numbers, by class above all."
    yield "- Robust error is what these attacks reached in this ball; a stronger attack may reach"
    yield "  more, and nothing is said of other balls. It is no certificate."
    for attack in found:
        card = attack.row.card
        if card.get("subset"):
            part = f"{card['n']} of {card.get('whole')}"
            yield f"- {for_markdown(attack.row.name)}: a part of the test images, {part}."
    few = [row["class"] for row in _rows_of(final) if 0 < row["n"] < FEW]
    if few:
        yield f"- Fewer than {FEW} test images, so wide intervals: {_named(few)}."
    absent = [row["class"] for row in _rows_of(final) if not row["n"]]
    if absent:
        yield f"- Without a test image, so not measured: {_named(absent)}."
    if (run.facts or {}).get("flipped_labels"):
        yield "- Wrong labels were put into its training data on purpose."


def _rows_of(final: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = final[ROBUST_ERROR]["per_class"] if final else []
    return rows


def _named(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(for_markdown(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def _pairs(told: Mapping[str, Any]) -> Iterator[str]:
    rows = [[_words(name), _written(value)] for name, value in told.items() if value is not None]
    yield from _table(["what", "value"], rows)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_written(inner)}" for name, inner in value.items())
    if isinstance(value, float):
        return exactly(value)
    return for_markdown(value) if isinstance(value, str) else str(value)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Give a table's lines; its cells are Markdown already."""
    heads = list(heads)
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _as_json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2).replace("\x7f", "\\u007f")
