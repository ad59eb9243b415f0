"""What did the method learn about each sample? Weights, bounds and characteristics of one run."""

import pandas as pd
import streamlit as st

from app.compare.choice import choose_one
from app.components.page import link_run, nothing_here, page, title_of
from app.data import cached
from app.samples import browse, by_class, learning, reads, suspects, words
from app.samples.choice import Look, choose_view
from app.text.format import count
from app.text.labels import quantity as name_of
from app.text.markdown import literal
from db.reads.rows import RunDetail


@page
def render() -> None:
    st.title("Sample weights", anchor=False)
    st.caption("What did the method learn about each training sample?")
    run = _choose_run()
    if run is None:
        return
    if run.is_active:
        st.fragment(_offer_newer, run_every=cached.REFRESH_SECONDS)(run.id, cached.mark(run))
    epochs = cached.summary_epochs(run.id, cached.mark(run))
    if not epochs:
        _say_too_early(run)
        return
    look = choose_view(run, epochs)
    _draw(look)


def _draw(look: Look) -> None:
    found = reads.distributions(look.run.id, look.reached, look.quantity, epoch=look.epoch)
    table = by_class.with_parts(found, look)
    _say_answer(look, table)
    by_class.draw_distributions(look, table)
    by_class.draw_history(look, table)
    trait = learning.draw_learned(look)
    learning.draw_detection(look)
    suspects.draw(look)
    browse.draw(look, trait)


def _choose_run() -> RunDetail | None:
    """Return the run of the link, else the newest that learned something of its samples.

    None, and words, where there is no run at all.
    """
    known = {run.id: run for run in reads.recorded()}
    wanted = st.query_params.get("run")
    if wanted is not None and wanted not in known:
        run = cached.run(wanted)
        if run is None:
            _say_gone(wanted)
        return run
    if not known:
        _say_nothing()
        return None
    names = {
        key: f"{run.name or run.method} · {run.method} on {run.dataset} · seed {run.seed} · "
        f"{key[:8]}"
        for key, run in known.items()
    }
    first = reads.most_telling()
    if first in names:
        names = {first: names[first], **names}
    chosen = choose_one("Run", "run", names)
    return cached.run(str(chosen))


def _say_nothing() -> None:
    nothing_here(
        "No weights yet",
        "As soon as a run has recorded an epoch, the weights, the bound and the characteristics of "
        "each of its training samples stand here.",
        ":material/scatter_plot:",
    )
    st.page_link("views/new_run.py", label="Start a new run", icon=":material/add_circle:")


def _say_gone(run_id: str) -> None:
    st.info(
        f"There is no run with the id {literal(run_id)}: it was deleted, or the link is cut short.",
        icon=":material/link_off:",
    )
    st.page_link("views/runs.py", label="All runs", icon=":material/arrow_back:")


def _say_too_early(run: RunDetail) -> None:
    nothing_here(
        f"No weights of {literal(title_of(run))} yet",
        "They stand here after its first recorded epoch.",
        ":material/scatter_plot:",
    )
    link_run(run.id, title_of(run))


def _offer_newer(run_id: str, drawn: cached.Mark) -> None:
    """Say that a run has recorded more; nothing moves under the hands of who looks at samples."""
    run = cached.run(run_id)
    if run is None or cached.mark(run) == drawn:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{count(run.epoch, 'epoch')} of this run are recorded by now.")
        if st.button("Show the newest", icon=":material/refresh:", key="newest"):
            st.rerun()


def _say_answer(look: Look, table: pd.DataFrame) -> None:
    rocs = learning.found(look)
    shown = table[table["class_index"].isin(look.classes)] if look.classes else table
    line = words.headline(shown, look.quantity, look.run.method, found=rocs.get(look.quantity))
    st.markdown(f"#### {literal(line)}")
    n = shown[shown["label_group"] == "all"]["n"].sum()
    parts = [
        f"{name_of(look.quantity)} of {count(int(n), 'training sample')} in epoch {look.epoch}, "
        "one run: another seed may tell another story."
    ]
    only = words.by_class_only(shown, look.quantity)
    st.caption(literal(" ".join([*parts, only] if only else parts)))
    link_run(look.run.id, title_of(look.run))


render()
