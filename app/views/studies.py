"""Does it hold over seeds? Studies: runs of several methods and seeds that share a name."""

import streamlit as st

from app.page import page


@page
def render() -> None:
    st.title("Studies", anchor=False)


render()
