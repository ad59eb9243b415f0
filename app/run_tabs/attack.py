"""What does an attack make of the test images? Confusions, and every protocol that was run."""

from typing import Any

import pandas as pd
import streamlit as st

from app.charts.base import MAX_CLASSES, charts
from app.components.page import nothing_here, show_chart, show_frame, show_table
from app.data import evaluations as looks
from app.run_tabs import checks, jobs
from app.text.evaluation_card import threat_of, under, words_of
from app.text.format import count, percent
from app.text.labels import evaluation
from app.text.markdown import literal
from db.models import IMPORT
from db.reads.rows import EvaluationRow, RunDetail
from engine.evaluation.error_names import ROBUST_ERROR


def draw(run: RunDetail) -> None:
    """Answer in words, then draw confusions and errors by class, then list every evaluation."""
    found = looks.evaluations(run.id)
    attacks = {row.name: row for row in found if row.kind == "attack"}
    if not attacks:
        nothing_here(
            "No attack yet",
            "When training ends, every test image is attacked once. Which class is then taken for "
            "which, and how the attack changed it, stands here.",
            ":material/swords:",
        )
    else:
        chosen = attacks[_ask(run, list(attacks))]
        table = looks.confusions(run.id, chosen.name, chosen.created_at)
        errors = looks.class_errors(run.id, chosen.name, chosen.created_at)
        _say_worst(table, errors, chosen)
        _draw_confusion(run, _worst_rows(table, errors))
        _draw_errors(run, errors, chosen)
        _list(run, list(attacks.values()))
    if run.kind != IMPORT:  # there is no model that more could be asked of
        checks.draw(run, found)
        jobs.draw(run)


def _ask(run: RunDetail, names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    chosen = st.selectbox(
        "Attack",
        names,
        key="attack",
        format_func=lambda name: evaluation(name, run.kind),
        bind="query-params",
    )
    return chosen or names[0]


def _say_worst(table: pd.DataFrame, errors: pd.DataFrame, chosen: EvaluationRow) -> None:
    """Name the most frequent mistake under attack, and how often the attack is to blame."""
    mistakes = table["attacked"].mask(table["class_index"] == table["said_index"])
    top = table.iloc[int(mistakes.argmax())]
    st.markdown(
        f"#### Under attack {literal(top['class'])} is taken for {literal(top['said'])} most: "
        f"{percent(top['attacked'], 0)} of its images, {percent(top['clean'], 0)} without the "
        "attack"
    )
    worst = _robust(errors).nlargest(1, "value").to_dict("records")[0]
    st.caption(
        f"Worst class: {literal(worst['class'])}, {percent(worst['value'], 0)} robust error"
        f"{under(literal(threat_of({}, chosen.card)))} "
        f"(95 % interval {percent(worst['low'], 0)} to {percent(worst['high'], 0)}, "
        f"n = {worst['n']:,}). {literal(words_of(chosen.card))}."
    )


def _robust(errors: pd.DataFrame) -> pd.DataFrame:
    return errors[errors["name"] == ROBUST_ERROR]


def _worst_rows(table: pd.DataFrame, errors: pd.DataFrame) -> pd.DataFrame:
    worst = _robust(errors).nlargest(MAX_CLASSES, "value")["class_index"]
    return table[table["class_index"].isin(worst) & table["said_index"].isin(worst)]


def _draw_confusion(run: RunDetail, shown: pd.DataFrame) -> None:
    st.subheader("Which class is taken for which", anchor=False)
    size = shown["class_index"].nunique()
    note = f" The {MAX_CLASSES} worst classes." if size == MAX_CLASSES else ""
    st.caption(
        "Percent of each true class (row). The difference is what the attack adds: orange more, "
        f"purple less.{note}"
    )
    alt = f"How often each of {count(size, 'class', 'classes')} is taken for each"
    show_chart(charts()["confusion"].draw(shown), key="confusion", alt=alt)
    show_table(shown, key="confusion", file_name=f"confusion-{run.id[:8]}.csv")


def _draw_errors(run: RunDetail, errors: pd.DataFrame, chosen: EvaluationRow) -> None:
    st.subheader("Errors by class under this attack", anchor=False)
    worst = _robust(errors).nlargest(MAX_CLASSES, "value")["class_index"]
    shown = errors[errors["class_index"].isin(worst)].assign(card=words_of(chosen.card))
    alt = f"Natural, boundary and robust error of {count(len(worst), 'class', 'classes')}"
    show_chart(charts()["class_errors"].draw(shown), key="attack-errors", alt=alt)
    show_table(errors, key="attack-errors", file_name=f"attack-{run.id[:8]}.csv")


def _list(run: RunDetail, attacks: list[EvaluationRow]) -> None:
    st.subheader("Every attack on this run", anchor=False)
    st.caption("Two results with different protocols are not one ranking.")
    table = pd.DataFrame([_line(run, row) for row in attacks])
    show_frame(table, hide_index=True, key="evaluations", column_config=_COLUMNS)


def _line(run: RunDetail, row: EvaluationRow) -> dict[str, object]:
    """Return a row of the list; the average is over images, in percent."""
    robust = _robust(looks.class_errors(run.id, row.name, row.created_at))
    average = (robust["value"] * robust["n"]).sum() / robust["n"].sum()
    return {
        "name": evaluation(row.name, run.kind),
        "n": row.n,
        "robust": 100 * average,
        "worst": 100 * robust["value"].max(),
        "protocol": words_of(row.card),
        "made": row.created_at,
    }


_COLUMNS: dict[str, Any] = {
    "name": "Attack",
    "n": st.column_config.NumberColumn("Images", format="localized"),
    "robust": st.column_config.NumberColumn("Robust error", format="%.1f %%"),
    "worst": st.column_config.NumberColumn("Worst class", format="%.1f %%"),
    "protocol": st.column_config.TextColumn("Protocol", width="large"),
    "made": st.column_config.DatetimeColumn(
        "When (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC"
    ),
}
