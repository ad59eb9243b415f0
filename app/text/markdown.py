"""A user's own words in Streamlit's Markdown: as they are, or explained where they hide."""

from tasks.escaping import explained_for_streamlit, for_streamlit

literal, explained = for_streamlit, explained_for_streamlit


def notes(text: str) -> str:
    """Return a person's Markdown without pictures, which a page would fetch from elsewhere.

    Streamlit writes HTML out as text by itself.
    """
    return text.replace("![", "!\\[")
