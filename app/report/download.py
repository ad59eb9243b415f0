"""The button that downloads a report."""

from collections.abc import Callable

import streamlit as st

from app.report.document import MIME, SIZE


def offer_report(label: str, html: Callable[[], bytes], *, file_name: str, holds: str) -> None:
    """Offer a report, which is made when the button is pressed.

    Args:
        label: Of the button.
        html: Makes the file.
        file_name: Of the download.
        holds: What is in it.
    """
    st.download_button(
        label,
        html,
        file_name=file_name,
        mime=MIME,
        icon=":material/description:",
        key="report",
        on_click="ignore",
    )
    st.caption(f"{holds} in one file: {SIZE}.")


def offer_comparison(html: Callable[[], bytes]) -> None:
    """Offer the report of several runs."""
    offer_report(
        "Download this comparison (HTML)",
        html,
        file_name="comparison.html",
        holds="Charts, tables, scenarios and evaluation cards",
    )
