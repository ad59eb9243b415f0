"""The dashboard: its pages, in their order."""

import gc
import sys
from pathlib import Path

import streamlit as st

from app.navigation import PAGES

HERE = Path(__file__).parent


@st.cache_resource(show_spinner=False)
def leave_modules_alone(loaded: int) -> None:
    """Have the garbage collector pass over what is loaded for good, again whenever that is more.

    Streamlit collects after every drawing, and with torch loaded that took four fifths of a page.
    """
    gc.collect()
    gc.freeze()


st.set_page_config(page_title="CAAT Studio", page_icon=HERE / "mark.svg", layout="wide")
st.html(HERE / "style.css")
st.logo(HERE / "logo.svg", size="large")
st.navigation(
    [
        st.Page(
            page.file,
            title=page.title,
            icon=page.icon,
            url_path=page.path.strip("/") or None,
            default=page.path == "/",
            visibility="visible" if page.icon else "hidden",
        )
        for page in PAGES
    ],
    position="top",
).run()
leave_modules_alone(len(sys.modules))
