"""Take the pictures of the documentation from a running dashboard.

    python docs/take_screenshots.py http://localhost:8501 RUN_ID [RUN_ID ...]

The first run is shown on its own pages; all of them are compared.
Needs Debian's Chromium. Pictures go to docs/screenshots.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent / "screenshots"
ARGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking"]
WIDTH = 1280
TALL = {"run-samples": 1500, "run-attack": 1500, "theory": 1700, "fairness": 1900, "tradeoff": 1000}
"""Pages whose interest lies further down than 900 pixels."""
MIXING = "claim=mixing&rho_plus=0.1&rho_minus=-0.1&seed=0"


def main(address: str, run_ids: list[str]) -> None:
    """Take every picture, light and dark."""
    every = "&".join(f"runs={run_id}" for run_id in run_ids)
    pages = {"runs": "/", "new-run": "/new", "theory": f"/theory?{MIXING}"}
    pages |= {"fairness": f"/fairness?{every}", "tradeoff": "/tradeoff"}
    for tab in ("Live", "Classes", "Samples", "Attack", "Setup"):
        pages[f"run-{tab.lower()}"] = f"/run?id={run_ids[0]}&tab={tab}"
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGS)
        for scheme, mark in (("light", ""), ("dark", "-dark")):
            context = browser.new_context(color_scheme=scheme, reduced_motion="reduce")
            for name, path in pages.items():
                page = context.new_page()
                page.set_viewport_size({"width": WIDTH, "height": TALL.get(name, 900)})
                page.goto(address + path)
                page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
                page.wait_for_load_state("networkidle")
                page.wait_for_timeout(3000)  # charts draw after the page is idle
                page.screenshot(path=FOLDER / f"{name}{mark}.png")
                page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), sys.argv[2:])
