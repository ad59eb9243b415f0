"""What stands in an open card: why the sample has its weight, and its path through the epochs."""

import numpy as np
import pandas as pd
import streamlit as st

from app.charts.base import charts
from app.compare.choice import keep
from app.components.page import show_chart, show_table
from app.samples import reads, words
from app.samples.choice import Look
from app.text.format import count
from app.text.markdown import literal
from engine.inspection.contributions import Explanation


def draw_details(look: Look, row: int, number: str) -> None:
    """Draw both, and a button that closes them.

    Args:
        look: What was chosen.
        row: The sample's place among the training samples.
        number: Its number in the dataset's training part.
    """
    _draw_why(look, row, number)
    _draw_course(look, row, number)
    st.button("Close", icon=":material/close:", on_click=keep, args=("sample", None))


def _draw_why(look: Look, row: int, number: str) -> None:
    st.markdown("**Why this weight?**")
    found = reads.explanation(look.run.id, look.reached, look.epoch, row=row)
    if not isinstance(found, Explanation):
        st.caption(f"It cannot be told. {literal(found)}.")
        return
    recorded = reads.columns(look.run.id, look.run.attempt, look.epoch)[found.quantity][row]
    st.markdown(literal(words.why(found)))
    st.caption(
        literal(
            "Shapley values: what each characteristic adds, in the mean over all orders in which "
            "the six may change from the mean of the given label to the sample's own; they add up "
            f"to the difference.{_of_alpha(found)} The network is asked as the epoch left it, "
            "among all samples; in training, as it stood then and among those of a batch, it gave "
            f"{float(recorded):.3f}."
        )
    )
    table = contributions(found)
    figure = charts()["weight_contributions"].draw(table)
    show_chart(figure, key="why", alt=f"Sample {number}: {words.why(found)}")
    show_table(table, key="why", file_name=f"why-{number}-{look.run.id[:8]}-epoch-{look.epoch}.csv")


def _of_alpha(found: Explanation) -> str:
    if found.quantity != "anti_adversary_weight":
        return ""
    return " Alpha is 1 less this weight, so each adds the opposite to it."


def contributions(found: Explanation) -> pd.DataFrame:
    """Return one row per characteristic: its contribution, the sample's value, the class's mean."""
    return pd.DataFrame(
        {
            "name": list(found.contributions),
            "contribution": list(found.contributions.values()),
            "value": list(found.values.values()),
            "mean": list(found.means.values()),
        }
    )


def _draw_course(look: Look, row: int, number: str) -> None:
    st.markdown("**Through the epochs**")
    table = reads.course(look.run.id, look.reached, row)
    names = [name for name in table if name not in ("epoch", "bound", "loss")]
    varied = [name for name in names if table[name].nunique() > 1] or names[:1]
    long = table.melt("epoch", varied, var_name="name", value_name="value").dropna()
    alt = f"Weights of sample {number} over {count(table['epoch'].nunique(), 'recorded epoch')}"
    figure = charts()["learning_curve"].draw(long.assign(low=np.nan, high=np.nan))
    show_chart(figure, key="course", alt=alt)
    show_table(table, key="course", file_name=f"sample-{number}-{look.run.id[:8]}.csv")
