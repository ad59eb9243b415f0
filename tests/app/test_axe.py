"""No page has a serious or critical accessibility violation, light or dark."""

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from app.navigation import PAGES
from app.run_tabs.tabs import TABS
from tests.app.browser import visiting

GRAVE = ("serious", "critical")
UPSTREAM: dict[tuple[str, str], str] = {}
"""Rule and a part of the element's markup that Streamlit itself writes -> why we cannot mend it."""


STANDS_STILL = """() => {
    const before = window.numElements;
    window.numElements = document.querySelectorAll("*").length;
    return window.numElements === before;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_violates_an_accessibility_rule_gravely(studio, chromium, server, scheme):
    running, finished = studio.running("At work"), studio.finished("Done")
    studio.report_worker(state="busy", run_id=running)
    studio.queued("Waits")
    links = [page.path for page in PAGES if page.path != "/run"]
    links += [f"/run?id={finished}&tab={tab}" for tab in TABS]
    links += [f"/run?id={running}", "/run?id=none"]
    with visiting(chromium, server, color_scheme=scheme) as visit:
        found = {link: violations(visit.go(link)) for link in links}
    grave = [f"{link}: {line}" for link, lines in found.items() for line in lines]
    assert not grave, "\n".join(grave)


def violations(page: Any) -> list[str]:
    """Return the grave violations of a page that stands, but those that are Streamlit's own."""
    page.get_by_role("heading").first.wait_for()
    # Charts and tables are drawn last, and late where much else is at work.
    page.wait_for_function(STANDS_STILL, polling=1000, timeout=90_000)
    options = {"resultTypes": ["violations"], "iframes": False}
    result = Axe().run(page, options=options).response
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:300]} {node['failureSummary'][:200]}"
        for rule in result["violations"]
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
        if not is_upstream(rule["id"], node["html"])
    ]


def is_upstream(rule: str, html: str) -> bool:
    return any(rule == known and re.search(part, html) for known, part in UPSTREAM)
