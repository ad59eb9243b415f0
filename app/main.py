"""The dashboard: its pages, in their order."""

import streamlit as st

st.set_page_config(page_title="CAAT Studio", page_icon=":material/balance:", layout="wide")
st.navigation(
    [
        st.Page("views/runs.py", title="Runs", icon=":material/list:", url_path="", default=True),
        st.Page("views/new_run.py", title="New run", icon=":material/add_circle:", url_path="new"),
        st.Page("views/run.py", title="Run", url_path="run", visibility="hidden"),
    ]
).run()
