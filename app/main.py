"""The dashboard: its pages, in their order."""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent

st.set_page_config(page_title="CAAT Studio", page_icon=HERE / "mark.svg", layout="wide")
st.html(HERE / "style.css")
st.logo(HERE / "logo.svg", size="large")
# Streamlit's own Stop button ends the drawing of a page; it would stand beside that of a run.
st.html("<style>[data-testid=stStatusWidget] { display: none; }</style>")
st.navigation(
    [
        st.Page("views/runs.py", title="Runs", icon=":material/list:", default=True),
        st.Page("views/new_run.py", title="New run", icon=":material/add_circle:", url_path="new"),
        st.Page(
            "views/fairness.py",
            title="Class fairness",
            icon=":material/balance:",
            url_path="fairness",
        ),
        st.Page(
            "views/tradeoff.py",
            title="Trade-off",
            icon=":material/scatter_plot:",
            url_path="tradeoff",
        ),
        st.Page(
            "views/samples.py",
            title="Sample weights",
            icon=":material/grain:",
            url_path="samples",
        ),
        st.Page("views/studies.py", title="Studies", icon=":material/science:", url_path="studies"),
        st.Page("views/theory.py", title="Theory", icon=":material/functions:", url_path="theory"),
        st.Page(
            "views/system.py", title="System", icon=":material/health_metrics:", url_path="system"
        ),
        st.Page("views/run.py", title="Run", url_path="run", visibility="hidden"),
    ],
    position="top",
).run()
