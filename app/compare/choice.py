"""Choices among runs that stand in the link by their ids, while people read names.

The link is the one truth: a widget shows what stands there, and its change is written there first.
"""

from collections.abc import Mapping, Sequence

import streamlit as st

from engine.names import visible


def choose_some(
    label: str,
    name: str,
    options: Mapping[str, str],
    *,
    default: Sequence[str] = (),
    most: int,
    placeholder: str = "Name or id",
) -> list[str]:
    """Let a person choose some of the options; return their keys in the order of choosing.

    Args:
        label: Of the widget.
        name: Of the link's parameter, which is there once for every chosen key.
        options: Key -> what a person reads.
        default: What is chosen where the link has no such parameter.
        most: How many may be chosen.
        placeholder: What stands there while nothing is chosen.
    """
    wanted = st.query_params.get_all(name) if name in st.query_params else list(default)
    there = list(dict.fromkeys(key for key in wanted if key in options))
    lost = len({key for key in wanted if key}) - len(there)
    st.session_state[f"choice-{name}"] = there[:most]
    chosen: list[str] = st.multiselect(
        label,
        list(options),
        key=f"choice-{name}",
        format_func=lambda key: visible(options[key]),
        max_selections=most,
        placeholder=placeholder,
        wrap=True,
        on_change=_keep_some,
        args=(name,),
    )
    if lost:
        st.caption(
            f":material/link_off: {lost} of this link's choices cannot be shown here: deleted, not "
            "finished, or measured otherwise."
        )
    return chosen


def choose_one(
    label: str, name: str, options: Mapping[str, str], *, none: str | None = None
) -> str | None:
    """Let a person choose one option, by default the first, or none where that has a name."""
    wanted = st.query_params.get(name)
    first = None if none is not None else next(iter(options), None)
    st.session_state[f"choice-{name}"] = wanted if wanted in options else first
    chosen: str | None = st.selectbox(
        label,
        list(options),
        key=f"choice-{name}",
        format_func=lambda key: visible(options[key]),
        index=None if none is not None else 0,
        placeholder=none,
        on_change=_keep_one,
        args=(name,),
    )
    if wanted and wanted not in options:
        st.caption(f":material/link_off: What this link names for *{label}* is not here.")
    return chosen


def keep(name: str, key: str | None) -> None:
    """Write a choice into the link."""
    if key is None:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = key


def _keep_some(name: str) -> None:
    st.query_params[name] = st.session_state[f"choice-{name}"] or [""]


def _keep_one(name: str) -> None:
    keep(name, st.session_state[f"choice-{name}"])
