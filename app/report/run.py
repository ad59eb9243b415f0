"""The report of one run: what came out, how it was measured, how it went, and what was run."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from app.charts.base import MAX_CLASSES, charts
from app.components.page import title_of
from app.data import cached
from app.data import evaluations as looks
from app.report.document import Document, Drawing, Section, pairs, table_of
from app.run.facts import card_rows, fact_rows, shown
from app.run.panels import panels
from app.scenario.toml_out import as_toml
from app.text.evaluation_card import card_in_words, threat_of, threat_of_run, under, words_of
from app.text.format import count, percent, points
from app.text.labels import evaluation, metric, status
from app.text.progress import whereabouts
from db.models import TRAINING
from db.reads.rows import EvaluationRow, RunDetail
from engine.errors import UserError
from engine.evaluation.error_names import ERRORS, ROBUST_ERROR


def run_report(run_id: str) -> bytes:
    """Return the report of a run as an HTML file.

    Raises:
        UserError: The run is gone.
    """
    run = cached.run(run_id)
    if run is None:
        raise UserError(f"RUN: there is no run {run_id}")
    about = f"{run.method} on {run.dataset}, seed {run.seed}, id {run.id}"
    stands = f"{status(run.shown_status).label}: {whereabouts(run)}"
    return Document(title_of(run), f"{about}. {stands}", list(_sections(run))).html()


def _sections(run: RunDetail) -> Iterator[Section]:
    yield from _classes(run)
    found = looks.evaluations(run.id)
    yield from _attacks(run, [row for row in found if row.kind == "attack"])
    yield from _checks(run, found)
    yield from _training(run)
    if run.evaluation_card:
        card = pairs(card_rows(run.evaluation_card))
        yield Section("Evaluation card", ["How the test numbers were measured."], table=card)
    again = ["Runs again, identically, with caat run FILE.toml."] if run.kind == TRAINING else []
    yield Section("Scenario" if again else "What was taken in", again, code=as_toml(shown(run)))
    if run.facts:
        yield Section("What was found at the start", table=pairs(fact_rows(run)))
    yield Section("Events", table=table_of(_events(run)))


def _classes(run: RunDetail) -> Iterator[Section]:
    split = run.result_split
    if split is None:
        yield Section("Errors by class", ["No epoch is finished yet: there are no errors."])
        return
    table = cached.class_errors(run.id, cached.mark(run), split)
    errors = table[table["name"].isin(ERRORS)]
    newest = errors[(errors["epoch"] == errors["epoch"].max()) & (errors["n"] > 0)]
    robust = newest[newest["name"] == ROBUST_ERROR].dropna(subset=["value"])
    shown = robust.nlargest(MAX_CLASSES, "value")["class_index"]
    drawn = newest[newest["class_index"].isin(shown)].assign(card=card_in_words(run, split))
    of, attacked = count(len(shown), "class", "classes"), under(threat_of_run(run))
    drawings = [
        Drawing(
            f"Natural, boundary and robust error{attacked}; whiskers are 95 % intervals",
            f"Natural, boundary and robust error of {of}",
            charts()["class_errors"].draw(drawn),
        )
    ]
    history = cached.class_errors(run.id, cached.mark(run), "validation")
    history = history[history["name"] == ROBUST_ERROR].dropna(subset=["value"])
    if history["epoch"].nunique() > 1:
        attacked = under(threat_of(run.scenario))
        title = f"Robust error{attacked} on validation data after every epoch"
        drawings.append(Drawing(title, title, charts()["class_history"].draw(history)))
    yield Section("Errors by class", _answer(run, robust, split), drawings, _class_table(newest))


def _answer(run: RunDetail, robust: pd.DataFrame, split: str) -> list[str]:
    where = "test data" if split == "test" else f"validation data after epoch {run.epoch}"
    lines = [
        f"{percent(run.natural_error)} natural and {percent(run.robust_error)} robust error"
        f"{under(threat_of_run(run))} on {where}."
    ]
    if len(robust):
        worst = robust.nlargest(1, "value").to_dict("records")[0]
        over = points(worst["value"] - (run.robust_error or 0))
        lines.append(
            f"Worst class: {worst['class']}, {percent(worst['value'])} robust error, {over} over "
            f"the average (95 % interval {percent(worst['low'])} to {percent(worst['high'])}, "
            f"Wilson, n = {worst['n']:,})."
        )
    lines.append(f"Measured with {card_in_words(run, split)}. One seed: another may differ.")
    return lines


def _class_table(newest: pd.DataFrame) -> Any:
    wide = newest.pivot_table(index=["class", "n"], columns="name", values="value").reset_index()
    low_high = newest[newest["name"] == ROBUST_ERROR].set_index("class")[["low", "high"]]
    joined = wide.join(low_high, on="class").sort_values(ROBUST_ERROR, ascending=False)
    named = joined.rename(columns={"low": "robust_error_from", "high": "robust_error_to"})
    return table_of(named, [name for name in named.columns if "error" in name])


def _attacks(run: RunDetail, attacks: list[EvaluationRow]) -> Iterator[Section]:
    if not attacks:
        return
    first = attacks[0]
    table = looks.confusions(run.id, first.name, first.created_at)
    errors = looks.class_errors(run.id, first.name, first.created_at)
    robust = errors[errors["name"] == ROBUST_ERROR]
    worst = robust.nlargest(MAX_CLASSES, "value")["class_index"]
    shown = table[table["class_index"].isin(worst) & table["said_index"].isin(worst)]
    title = f"Which class is taken for which: {evaluation(first.name, run.kind).lower()}"
    drawing = Drawing(title, title, charts()["confusion"].draw(shown))
    rows = pd.DataFrame([_attack(run, row) for row in attacks])
    listed = table_of(rows, ["robust_error", "worst_class"])
    yield Section("Attacks on the test images", [], [drawing], listed)


def _attack(run: RunDetail, row: EvaluationRow) -> dict[str, Any]:
    errors = looks.class_errors(run.id, row.name, row.created_at)
    robust = errors[errors["name"] == ROBUST_ERROR]
    return {
        "attack": evaluation(row.name, run.kind),
        "images": row.n,
        "robust_error": (robust["value"] * robust["n"]).sum() / robust["n"].sum(),
        "worst_class": robust["value"].max(),
        "protocol": words_of(row.card),
    }


def _checks(run: RunDetail, found: list[EvaluationRow]) -> Iterator[Section]:
    newest = {row.kind: row for row in found}
    curve, masking = newest.get("curve"), newest.get("masking")
    if curve and curve.findings:
        figure = charts()["security_curve"].draw(looks.curve(run.id, curve.findings))
        title = f"Robust accuracy by the radius of the attack in {curve.card.get('norm', 'linf')}"
        yield Section("Security curve", [words_of(curve.card)], [Drawing(title, title, figure)])
    if masking and masking.findings:
        lines = [
            f"{'Passed' if check['passed'] else 'Failed'}: {check['name']}. {check['reason']}"
            for check in masking.findings["checks"]
        ]
        yield Section("Does the model only hide its gradients?", lines)


def _training(run: RunDetail) -> Iterator[Section]:
    history = cached.metrics(run.id, cached.live_mark(run))
    if history.empty:
        return
    images = cached.fact(run, "num_validation") or 0
    drawn = panels(history, cached.fact(run, "steps_per_epoch"), images)
    yield Section(
        "Training",
        [f"{metric('loss')}, errors on validation data, weights, epoch by epoch."],
        [Drawing(panel["title"], panel["alt"], panel["figure"]) for panel in drawn],
    )


def _events(run: RunDetail) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "when": f"{event.at:%Y-%m-%d %H:%M:%S}",
            "status": status(event.to_status).label,
            "attempt": event.attempt or None,
            "by": event.actor,
            "message": event.message or "",
        }
        for event in cached.events(run.id)
    ).astype(object)
