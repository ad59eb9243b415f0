"""Why should this work? Two Gaussian classes, a linear classifier, and signed bounds."""

import streamlit as st

from app.charts.base import charts
from app.components.page import page, show_chart, show_table
from app.text.format import percent, points
from app.text.labels import metric
from app.text.markdown import literal
from app.theory import tables
from app.theory.form import setting_form
from app.theory.samples import draw_samples
from app.theory.verdict import draw_menu, draw_verdict
from app.theory.words import how_fair, where, who_pays
from engine.evaluation.error_names import NATURAL_ERROR, ROBUST_ERROR
from engine.theory.mixture import Setting, Solution
from engine.theory.solver import solve


@page
def render() -> None:
    st.title("Theory lab", anchor=False)
    st.caption(
        "Two Gaussian classes, a linear classifier, and a signed bound for each class: above 0 "
        "it is trained on adversaries, below 0 on anti-adversaries."
    )
    draw_menu()
    verdict = st.container()
    side, answer = st.columns([2, 5], gap="large")
    with side, st.container(border=True, key="parameters"):
        setting = setting_form()
    if setting is None:
        with answer:
            st.error("Mend the marked fields to see an answer.", icon=":material/error:")
        return
    with verdict:
        draw_verdict(setting)
    with answer:
        solution = solve(setting)
        _say_answer(setting, solution)
        _draw_scores(setting, solution)
        _draw_errors(setting, solution)
    _draw_sweep(setting)


def _say_answer(setting: Setting, solution: Solution) -> None:
    natural, robust = solution.natural_error, solution.robust_error
    st.markdown(f"#### {literal(who_pays(setting, natural))}")
    st.markdown(
        literal(
            f"{where(setting, solution)}. Average natural error {percent(natural.average)}, robust "
            f"{percent(robust.average)}; natural gap {points(natural.gap, 1)}, robust gap "
            f"{points(robust.gap, 1)}. {'. '.join(how_fair(setting))}."
        )
    )


def _draw_scores(setting: Setting, solution: Solution) -> None:
    st.subheader("Scores", anchor=False)
    st.caption(
        "Shaded around the boundary: how far the attack carries a score. Dotted: samples with "
        "right labels as training saw them, moved by their bounds."
    )
    table = tables.densities(setting, solution.b)
    alt = f"Densities of the scores of both classes. {where(setting, solution)}"
    show_chart(charts()["score_densities"].draw(table), key="densities", alt=alt)
    show_table(table, key="densities", file_name="theory-scores.csv")


def _draw_errors(setting: Setting, solution: Solution) -> None:
    st.subheader("Errors", anchor=False)
    table = tables.errors(setting, solution, draw_samples(setting, solution))
    alt = f"Errors of both classes. {who_pays(setting, solution.natural_error)}"
    show_chart(charts()["theory_errors"].draw(table), key="errors", alt=alt)
    show_table(table, key="errors", file_name="theory-errors.csv")


def _draw_sweep(setting: Setting) -> None:
    st.subheader("Which bound makes the classes equal?", anchor=False)
    moved = st.segmented_control(
        "Bound that moves",
        list(tables.SWEEPS),
        default="opposite",
        key="sweep",
        required=True,
        format_func=lambda name: tables.SWEEPS[name],
        bind="query-params",
    )
    st.caption("Where the lines cross, both classes pay the same. Dotted: the bound in force.")
    table = tables.sweep(setting, moved or "opposite")
    for column, kind in zip(st.columns(2), (NATURAL_ERROR, ROBUST_ERROR), strict=True):
        with column:
            st.markdown(f"**{metric(kind)}**")
            figure = charts()["bound_sweep"].draw(table.assign(value=table[kind]))
            alt = f"{metric(kind)} of both classes over a bound"
            show_chart(figure, key=f"sweep-{kind}", alt=alt)
    show_table(table, key="sweep-rows", file_name="theory-bounds.csv")


render()
