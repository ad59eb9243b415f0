"""The dashboard in a real browser: what only a browser can show."""

import re
from typing import Any

import numpy as np
from playwright.sync_api import expect

from app.navigation import PAGES
from app.run_tabs.tabs import TABS
from db.models import RunStatus
from db.reads import queries
from db.writes import transitions
from tests.app.browser import Visit, stand_still, visiting, wait_for


def plot(page: Any, panel: str) -> Any:
    return page.locator(f'figure[data-panel="{panel}"] .js-plotly-plot')


def hide_first_series(page: Any, panel: str) -> None:
    plot(page, panel).locator(".legendtoggle").first.click()
    shown(page, panel, "plot._fullData[0].visible === 'legendonly'")


def zoom(page: Any, panel: str) -> list[float]:
    """Drag over the middle of a panel and return the range that is then shown."""
    box = plot(page, panel).locator(".nsewdrag").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], middle + 2, steps=5)
    page.mouse.up()
    shown(page, panel, "plot._fullLayout.xaxis.autorange === false")
    return list(plot(page, panel).evaluate("(plot) => plot._fullLayout.xaxis.range"))


def shown(page: Any, panel: str, condition: str) -> None:
    page.wait_for_function(
        f"""(panel) => {{
            const plot = document.querySelector(`figure[data-panel="${{panel}}"] .plot`);
            return {condition};
        }}""",
        arg=panel,
    )


def test_zoom_legend_and_node_survive_three_refreshes(studio, visit):
    run_id = studio.running("Live", epochs=3)
    page = visit.go(f"/run?id={run_id}")
    plot(page, "worst").locator(".nsewdrag").wait_for()
    plot(page, "worst").evaluate("(plot) => { plot.dataset.mark = 'mine'; }")
    hide_first_series(page, "worst")
    zoomed = zoom(page, "worst")
    for epoch in range(4, 7):
        studio.record_epoch(run_id, epoch)
        shown(page, "worst", f"plot._fullData.some((trace) => trace._length === {epoch})")
        kept = plot(page, "worst").evaluate(
            """(plot) => [
                plot.dataset.mark, plot._fullLayout.xaxis.range, plot._fullData[0].visible
            ]"""
        )
        assert kept == ["mine", zoomed, "legendonly"]


def test_every_panel_fits_its_frame(studio, visit):
    page = visit.go(f"/run?id={studio.running('Live')}")
    plot(page, "rate").locator(".nsewdrag").wait_for()
    wide = page.evaluate(
        """() => [...document.querySelectorAll("figure[data-panel]")].filter((figure) =>
            figure.querySelector(".main-svg").getBoundingClientRect().right
                > figure.getBoundingClientRect().right
        ).map((figure) => figure.dataset.panel)"""
    )
    assert wide == []


def test_launch_clicked_three_times_quickly_makes_one_run(studio, visit):
    page = visit.go("/new")
    button = page.locator(".st-key-launch button")
    button.wait_for()
    button.evaluate("(button) => { button.click(); button.click(); button.click(); }")
    page.get_by_text("Open the run").wait_for()
    with studio.database.read() as session:
        assert queries.run_count(session) == 1
    page.get_by_text("Open the run").click()
    page.get_by_role("heading", name="Demo: digits, noisy labels").wait_for()
    assert "id=" in page.url


def test_a_number_outside_its_range_is_kept_and_told_and_nothing_is_queued(studio, visit):
    page = visit.go("/new")
    epochs = page.get_by_label("Epochs", exact=True)
    epochs.fill("100000")
    page.locator(".st-key-launch button").click()
    page.get_by_text("100000 is not valid; allowed: a whole number, 1 to").first.wait_for()
    page.get_by_text("Nothing was queued.").wait_for()
    assert epochs.input_value() == "100000"
    with studio.database.read() as session:
        assert queries.run_count(session) == 0


def test_a_study_is_launched_once_and_opened_by_its_link(studio, visit):
    page = visit.go("/new")
    page.get_by_label("Number of seeds", exact=True).fill("2")
    button = page.get_by_role("button", name="Launch 2 runs")
    page.keyboard.press("Enter")
    button.wait_for()
    button.evaluate("(button) => { button.click(); button.click(); button.click(); }")
    page.get_by_text("Open the study").click()
    page.wait_for_url("**/studies?study=*")
    page.get_by_text("0 of 2 runs finished").wait_for()
    page.get_by_role("link", name="Queued").first.wait_for()
    with studio.database.read() as session:
        assert queries.run_count(session) == 2


def test_stop_in_a_moving_table_stops_the_run_that_was_named(studio, visit):
    studio.running("Oldest")
    wanted = studio.running("The one")
    page = visit.go("/")
    table = page.locator("[data-testid=stDataFrame]").first
    table.wait_for()
    table.click(position={"x": 15, "y": 52})  # first row: the newest run
    page.locator(".st-key-chosen").get_by_text("The one").wait_for()
    other = studio.running("Pushed in above")
    page.get_by_text("3 runs in training").wait_for()
    page.locator(".st-key-chosen").get_by_text("The one").wait_for()
    page.locator(".st-key-chosen-stop button").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("The one").wait_for()
    for number in (4, 5):  # two refreshes of the table: the dialog has to stay
        studio.running("Pushed in above")
        page.get_by_text(f"{number} runs in training").wait_for()
    dialog.get_by_role("button", name="Stop the run").click()
    dialog.wait_for(state="hidden")
    wait_for(lambda: studio.status(wanted) == "stopping", 10)
    assert studio.status(other) == "running"


def test_a_link_opens_the_same_view_in_a_fresh_browser(studio, visit, chromium, server):
    run_id = studio.finished("Done")
    page = visit.go(f"/run?id={run_id}&tab=Samples")
    page.locator(".st-key-quantity").wait_for()
    page.locator(".st-key-quantity input").click()
    page.get_by_role("option", name="Bound", exact=True).click()
    page.wait_for_url("**quantity=Bound**")
    page.get_by_text("Bound: highest mean").wait_for()
    context = chromium.new_context()
    fresh = Visit(context.new_page(), server).go(page.url.removeprefix(server))
    fresh.get_by_text("Bound: highest mean").wait_for()
    expect(fresh.get_by_role("tab", name="Samples")).to_have_attribute("aria-selected", "true")
    assert fresh.url == page.url
    context.close()


def test_a_theory_link_holds_the_claim_its_parameters_and_the_drawn_samples(
    visit, chromium, server
):
    page = visit.go("/theory")
    page.get_by_role("button", name="Label noise").click()
    page.get_by_text("Class + pays: 30.9 %").wait_for()
    page.locator(".st-key-draw button").click()
    page.get_by_text("10,000 of each class, seed 0").wait_for()
    page.wait_for_url("**noise_plus=0.3**seed=0**")
    context = chromium.new_context()
    fresh = Visit(context.new_page(), server).go(page.url.removeprefix(server))
    fresh.get_by_text("Class + pays: 30.9 %").wait_for()
    fresh.get_by_text("At its own parameters").wait_for()
    fresh.get_by_text("10,000 of each class, seed 0").wait_for()
    assert fresh.url == page.url
    context.close()


def test_a_clicked_point_stands_in_the_link_and_leads_to_its_classes(
    studio, visit, chromium, server
):
    run_id = studio.finished("Done")
    page = visit.go("/tradeoff")
    plot = page.locator(".st-key-points .js-plotly-plot")
    plot.locator(".nsewdrag").wait_for()
    place = plot.evaluate(
        """(plot) => {
            const trace = plot._fullData.find((trace) => trace.name === "caat");
            const {xaxis, yaxis} = plot._fullLayout;
            return [xaxis._offset + xaxis.l2p(trace.x[0]), yaxis._offset + yaxis.l2p(trace.y[0])];
        }"""
    )
    box = plot.bounding_box()
    page.mouse.move(box["x"] + place[0], box["y"] + place[1])
    plot.locator(".hoverlayer .hovertext").wait_for()
    page.mouse.click(box["x"] + place[0], box["y"] + place[1])
    page.get_by_text("1 seed: no interval").wait_for()
    page.wait_for_url("**/tradeoff?point=*")
    context = chromium.new_context()
    fresh = Visit(context.new_page(), server).go(page.url.removeprefix(server))
    fresh.get_by_text("1 seed: no interval").wait_for()
    assert fresh.url == page.url
    context.close()
    page.get_by_text("Which classes pay?").click()
    page.get_by_role("heading", name="Class fairness").wait_for()
    assert "/fairness?" in page.url
    page.wait_for_url(f"**/fairness?runs={run_id}*")


def test_a_box_over_the_weights_lists_its_samples_and_stands_in_the_link(studio, visit):
    rng = np.random.default_rng(0)
    names = ("clean_weight", "adversary_weight", "anti_adversary_weight", "bound", "loss")
    drawn = {name: rng.random(200).astype(np.float32) for name in names}
    run_id = studio.learned(lambda epoch: drawn, 1)
    page = visit.go(f"/samples?run={run_id}")
    plot = page.locator(".st-key-density .js-plotly-plot .nsewdrag")
    plot.wait_for()
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(*middle, steps=5)
    page.mouse.up()
    page.wait_for_url("**trait-range=*weight-range=*")
    line = page.get_by_text("of 200 training samples in epoch 1 meet the choice")
    line.wait_for()
    limits = page.evaluate("() => Object.fromEntries(new URLSearchParams(location.search))")
    (x0, x1), (y0, y1) = (
        map(float, limits[name].split("..")) for name in ("trait-range", "weight-range")
    )
    loss, weight = drawn["loss"], drawn["anti_adversary_weight"]
    num = ((loss >= x0) & (loss <= x1) & (weight >= y0) & (weight <= y1)).sum()
    assert 0 < num < 200
    assert line.inner_text().startswith(f"{num} of 200")
    page.locator("[class*=st-key-history-] button").first.click()
    page.locator(".st-key-picked").wait_for()
    page.wait_for_url("**sample=*")
    with page.expect_download() as file:
        page.locator(".st-key-samples-csv button").click()
    assert len(file.value.path().read_text().splitlines()) == num + 1


def test_newer_weights_are_offered_and_drawn_on_a_click(studio, visit):
    run_id = studio.running("Live", 2)
    page = visit.go(f"/samples?run={run_id}")
    page.get_by_text("training samples in epoch 2, one run").wait_for()
    studio.record_epoch(run_id, 3)
    page.locator(".st-key-newest button").click()
    page.get_by_text("training samples in epoch 3, one run").wait_for()
    page.locator(".st-key-newest").wait_for(state="detached")
    expect(page).not_to_have_url(re.compile("epoch="))


def test_a_page_redraws_itself_once_when_its_run_ends(studio, visit):
    run_id = studio.running("Ends")
    page = visit.go(f"/run?id={run_id}")
    page.locator(".st-key-header-stop").wait_for()
    with studio.database.write() as session:
        transitions.finish(session, run_id, 1, status=RunStatus.SUCCEEDED)
    page.locator(".st-key-run-title").get_by_text("Finished").wait_for()
    page.locator(".st-key-header-stop").wait_for(state="detached")
    settled = visit.received
    page.wait_for_timeout(5_000)  # a span to look at, not a wait: frames are counted meanwhile
    assert visit.received - settled < 20_000  # nothing is drawn again and again


def test_a_link_of_the_list_holds_search_and_filters(studio, visit, chromium, server):
    studio.finished("Wanted", method={"name": "trades"})
    studio.finished("Wanted too", method={"name": "caat"})
    studio.queued("Unwanted", method={"name": "trades"})
    page = visit.go("/")
    search = page.get_by_role("textbox", name="Search")
    search.fill("wanted")
    search.press("Enter")
    page.wait_for_url("**q=wanted**")
    page.locator(".st-key-status input").click()
    page.get_by_role("option", name="finished", exact=True).click()
    page.wait_for_url("**status=finished**")
    page.keyboard.press("Escape")
    page.locator(".st-key-method input").click()
    page.get_by_role("option", name="trades", exact=True).click()
    page.wait_for_url("**method=trades**")
    with visiting(chromium, server) as fresh:
        other = fresh.go(page.url.removeprefix(server))
        expect(other.get_by_role("textbox", name="Search")).to_have_value("wanted")
        other.locator(".st-key-status").get_by_text("finished").wait_for()
        other.locator(".st-key-method").get_by_text("trades").wait_for()
        other.locator("[data-testid=stDataFrame]").first.click(position={"x": 15, "y": 52})
        other.locator(".st-key-chosen").get_by_text("Wanted", exact=True).wait_for()


def test_every_page_sends_less_than_two_megabytes(studio, visit):
    run_id = studio.finished("Done", epochs=20, study="Study")
    links = [page.path for page in PAGES if page.path != "/run"]
    links += ["/theory?claim=mixing&seed=0", "/tradeoff?paths=true", "/studies?study=Study"]
    links += [f"/run?id={run_id}&tab={tab}" for tab in TABS]
    for path in links:
        visit.received = 0
        page = visit.go(path)
        page.get_by_role("heading").first.wait_for()
        stand_still(page)
        assert 0 < visit.received < 2_000_000, path
