"""The live-curves component: Plotly panels that are updated in place.

`st.plotly_chart` builds a new chart for every change of its data, and with it forgets zoom and
legend (streamlit#16052); this component is to be dropped when it no longer does. Plotly's script
comes from the installed Python package, over this server: nothing is fetched from elsewhere.
"""

import json
from pathlib import Path
from typing import Any, TypedDict

import plotly
import plotly.graph_objects as go
import streamlit as st
from streamlit.components.v1 import declare_component

from app.charts.base import CONFIG

HERE = Path(__file__).parent
SCRIPT_FOLDER = Path(plotly.__file__).parent / "package_data"

_component = st.components.v2.component(
    "caat_live_curves",
    html='<div class="curves"></div>',
    css=(HERE / "curves.css").read_text(encoding="utf-8"),
    js=(HERE / "curves.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


class Panel(TypedDict):
    """One chart of the component: ``key`` is its identity over refreshes, ``alt`` its text."""

    key: str
    title: str
    alt: str
    figure: go.Figure


def live_curves(panels: list[Panel], *, key: str) -> None:
    """Draw panels, or update those that an earlier call with the same key has drawn.

    Args:
        panels: In the order of drawing.
        key: Identity of the component; its zooms and hidden series belong to it.
    """
    data = {
        "plotly": _script_url(),
        "config": CONFIG,
        "panels": [{**panel, "figure": _slim(panel["figure"], key)} for panel in panels],
    }
    _component(key=key, data=data)


def _script_url() -> str:
    """Have the server offer plotly.min.js, and return the path where it does."""
    offer = declare_component("plotly", path=str(SCRIPT_FOLDER))
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    prefix = f"/{base}" if base else ""
    return f"{prefix}/component/{offer.name}/plotly.min.js?v={plotly.__version__}"


def _slim(figure: go.Figure, revision: str) -> dict[str, Any]:
    """Return a figure as plain lists without Python's template, to be told apart by revision."""
    figure.update_layout(uirevision=revision, template=None)
    slim: dict[str, Any] = json.loads(figure.to_json(engine="json", remove_uids=False))
    return slim
