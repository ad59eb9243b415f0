"""Samples drawn on demand, whose counted errors stand over the exact ones."""

import streamlit as st

from app.text.markdown import literal
from engine.theory.mixture import Setting, Solution
from engine.theory.solver import Draw, draw_errors, standard_error

NUM_SAMPLES = (1_000, 10_000, 100_000)

MAX_NUMBERS = 100_000_000
"""Drawn for one class: more would keep the page busy for longer than a few seconds."""


def draw_samples(setting: Setting, solution: Solution) -> Draw | None:
    """Offer to draw samples; the seed stands in the link, so that a link shows the same ones."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.segmented_control(
            "Samples of each class",
            NUM_SAMPLES,
            default=10_000,
            key="samples",
            required=True,
            format_func=lambda number: f"{number:,}",
            bind="query-params",
        )
        seed = _seed()
        label = "Draw samples" if seed is None else "Draw others"
        st.button(label, icon=":material/casino:", key="draw", on_click=_next_seed)
        if seed is not None:
            st.button("Remove", key="undraw", on_click=_forget_seed)
    if seed is None:
        return None
    num = min(wanted or NUM_SAMPLES[0], MAX_NUMBERS // setting.dim)
    drawn = _counted(setting, solution.b, num, seed=seed)
    st.caption(literal(_in_words(solution, drawn, seed)))
    return drawn


@st.cache_data(
    ttl=600,
    max_entries=64,
    show_spinner="Drawing samples",
    hash_funcs={Setting: Setting.model_dump_json},
)
def _counted(setting: Setting, b: float, num: int, *, seed: int) -> Draw:
    return draw_errors(setting, b, num, seed=seed)


def _in_words(solution: Solution, drawn: Draw, seed: int) -> str:
    """Say how far the counted shares are from the exact ones."""
    distances = [
        abs(counted - share) / standard_error(share, drawn.n)
        for name, errors in solution.by_name().items()
        for share, counted in zip(errors, drawn.by_name()[name], strict=True)
        if 0 < share < 1
    ]
    return (
        f"n = {drawn.n:,} of each class, seed {seed}: every counted share is within "
        f"{max(distances, default=0):.1f} standard errors of the exact one."
    )


def _seed() -> int | None:
    text = st.query_params.get("seed", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _next_seed() -> None:
    seed = _seed()
    st.query_params["seed"] = str(0 if seed is None else seed + 1)


def _forget_seed() -> None:
    st.query_params.pop("seed", None)
