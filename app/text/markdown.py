"""A user's own words in Streamlit's Markdown: as they are, or explained where they hide."""

from tasks.escaping import explained_for_streamlit, for_streamlit

literal, explained = for_streamlit, explained_for_streamlit
