"""What data are there? A person's own datasets: add, look at, remove."""

from functools import partial

import streamlit as st

from app.components.dialog import Question, answer_click, ask
from app.components.page import page
from app.data import cached
from app.own_data.shown import draw_dataset, in_short
from app.own_data.upload import draw_upload
from app.text.format import count
from app.text.markdown import literal
from db.reads.listing import RunFilter
from engine.data.added.dataset import AddedDataset
from tasks import own_data


@page
def render() -> None:
    st.title("Data", anchor=False)
    st.caption("Datasets of your own: every page, file and study takes them by their name.")
    answer_click(cached.forget_runs)
    draw_upload()
    found = {one.name: one for one in own_data.added()}
    st.subheader("Added datasets", anchor=False)
    for name in own_data.damaged():
        st.warning(literal(f"{name} cannot be read; caat data remove {name} takes it away."))
    if not found:
        st.caption("None yet. What comes with the program is listed on New run.")
        return
    for name, one in found.items():
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{literal(name)}**  \n{literal(in_short(one))}", width="stretch")
            st.button(
                "Remove",
                icon=":material/delete:",
                key=f"remove-{name}",
                on_click=_ask_to_remove,
                args=(one,),
            )
    asked = st.query_params.get("name")
    names = list(found)
    chosen = st.selectbox(
        "Look at", names, index=names.index(asked) if asked in found else 0, key="data-chosen"
    )
    if chosen in found:
        draw_dataset(found[chosen], f"data-{chosen}")


def _ask_to_remove(one: AddedDataset) -> None:
    _, used = cached.runs(RunFilter(datasets=(one.name,)), 1)
    runs = f"{count(used, 'run')} of it stay readable" if used else "No run has used it"
    ask(
        Question(
            title="Remove this dataset?",
            subject=one.name,
            detail=in_short(one),
            effect=f"Its images are deleted. {runs}; new runs cannot be trained on it.",
            button="Remove",
            command=partial(own_data.remove, one.name),
        )
    )


render()
