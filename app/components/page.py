"""What pages have in common: errors told in one line, tables under charts, downloads."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.charts.base import CONFIG
from app.data.cached import as_csv
from app.data.resilient import away
from app.text.labels import title
from app.text.markdown import explained, literal
from db.errors import DatabaseError, SettingsError
from db.reads.rows import RunRow
from engine.names import visible
from tasks.escaping import frame_for_page

_SAID = "said-away"
MAX_ROWS = 5_000
"""More rows of a table are not sent to a page."""


def page(render: Callable[[], None]) -> Callable[[], None]:
    """Decorate a page: a database that does not answer is told, with what to do, in one line.

    What was read before stays on the page meanwhile.
    """

    @wraps(render)
    def told() -> None:
        text = away()
        st.session_state[_SAID] = text is not None
        with st.container():  # always there, so that nothing below it moves
            if text is not None:
                st.warning(f"{text}. Nothing is lost.", icon=":material/database_off:")
        try:
            render()
        except SettingsError as error:
            st.error(explained(str(error)), icon=":material/settings_alert:")
            st.caption("Mend the environment or the `.env`, and start the dashboard again.")
        except DatabaseError as error:
            st.error(explained(str(error)), icon=":material/database_off:")
            st.caption("Nothing was changed. Reload the page to try again.")
        follow_database()

    return told


def follow_database() -> None:
    """Draw the page again if the database went away, or came back, since the page was drawn."""
    if (away() is not None) != st.session_state.get(_SAID, False):
        st.rerun()


def title_of(run: RunRow) -> str:
    """Return a run's name; one without a name is called by what it does."""
    return visible(title(run))


def link_run(run_id: str, label: str) -> None:
    """Draw the link to a run's page."""
    icon, query = ":material/open_in_full:", {"id": run_id}
    st.page_link("views/run.py", label=literal(label), icon=icon, query_params=query)


def show_chart(figure: go.Figure, *, key: str, alt: str) -> None:
    """Draw a figure; ``alt`` says what it shows to those who cannot see it."""
    st.plotly_chart(figure, key=key, config=CONFIG, alt=visible(alt))


def show_frame(table: pd.DataFrame, **options: Any) -> Any:
    """Draw a table, whose text shows all that it holds."""
    return st.dataframe(frame_for_page(table), **options)


def show_table(table: pd.DataFrame, *, key: str, file_name: str, **options: Any) -> None:
    """Offer the table behind a chart, folded away, and its download."""
    with st.expander("Table and download", icon=":material/table:", key=f"{key}-expander"):
        show_frame(table.head(MAX_ROWS), hide_index=True, key=f"{key}-table", **options)
        if len(table) > MAX_ROWS:
            st.caption(f"The first {MAX_ROWS:,} of {len(table):,} rows; the download has all.")
        download(table, key=key, file_name=file_name)


def download(table: pd.DataFrame, *, key: str, file_name: str) -> None:
    st.download_button(
        "Download CSV",
        partial(as_csv, table),  # written when it is asked for
        file_name=file_name,
        mime="text/csv",
        icon=":material/download:",
        key=f"{key}-csv",
        on_click="ignore",
    )


def nothing_here(title: str, text: str, icon: str) -> None:
    """Say what will appear in an empty place."""
    with st.container(border=True, horizontal_alignment="center"):
        st.space("small")
        st.markdown(f"#### {icon} {title}", text_alignment="center", width="content")
        st.caption(text, text_alignment="center", width="content")
        st.space("small")
