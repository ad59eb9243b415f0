"""What a page of Streamlit's AppTest shows."""

import json


def words(page) -> str:
    """Everything that a page says."""
    kinds = (page.title, page.header, page.subheader, page.markdown, page.caption, page.text)
    boxes = (page.warning, page.error, page.info, page.success)
    said = "\n".join(element.value for kind in (*kinds, *boxes) for element in kind)
    return said.replace("\\", "")


def figures(page) -> list[dict]:
    """Every chart, as Plotly gets it."""
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]
