"""An open card: why the sample has its weight, and its path, in place; and who is opened first."""

import numpy as np
import pytest

from app.charts.base import charts
from app.run_tabs import exports
from app.samples import reads, suspects, words
from app.samples.details import contributions
from db.writes import records
from engine.inspection.contributions import Explanation
from engine.meta.characteristics import NAMES
from engine.methods.base import METHODS
from tasks.recording import checkpoints
from tasks.results.export_request import KINDS, SUSPECTS_BY
from tests.app.recorded import identity

N = 200


def says(page) -> str:
    kinds = (page.title, page.subheader, page.markdown, page.caption, page.info, page.error)
    return "\n".join(element.value for kind in kinds for element in kind).replace("\\", "")


def values(epoch: int, spread: float = 0.5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(epoch)
    anti = (0.2 + spread * rng.random(N)).astype(np.float32)
    found = {"clean_weight": 1 - anti, "adversary_weight": 1 - anti, "anti_adversary_weight": anti}
    found["bound"] = np.full(N, 8 / 255, np.float32)
    return found | {name: rng.normal(size=N).astype(np.float32) for name in NAMES}


@pytest.fixture
def with_network(studio, data_dir):
    """A finished run whose newest checkpoint, of epoch 3, holds a weighting network."""
    run_id = studio.learned(values)
    network = METHODS["caat"]().learned_weight().network
    state = {f"method.network.{name}": value for name, value in network.state_dict().items()}
    folder = data_dir / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    file = checkpoints.write(folder, 3, 1, state=state, scenario_digest="0" * 64)
    path = str(file.path.relative_to(data_dir))
    with studio.database.write() as session:
        records.write_checkpoint(
            session, run_id, 1, epoch=3, path=path, size=file.size, sha256=file.sha256
        )
    return run_id


def test_history_opens_in_the_card_itself_and_tells_why(open_page, with_network):
    page = open_page("samples", run=with_network, sample="10", classes="0", order="stored")
    labels = [button.label for button in page.button]
    assert labels.count("History") == 5  # the sixth card is open
    assert labels.count("Close") == 1
    said = says(page)
    assert said.count("**Why this weight?**") == said.count("**Through the epochs**") == 1
    assert said.count("sample 10]") == 1
    assert "with the mean characteristics of its class" in said
    assert "It cannot be told" not in said


@pytest.mark.parametrize(
    ("epoch", "why"), [("2", "Of the network only epoch 3 is kept"), ("3", None)]
)
def test_a_card_that_is_not_on_the_page_opens_above_it_and_says_why_not(
    open_page, with_network, epoch, why
):
    page = open_page("samples", run=with_network, sample="7", classes="0", epoch=epoch)
    assert [button.label for button in page.button].count("History") == 6
    assert says(page).count("sample 7]") == 1
    assert (f"It cannot be told. {why}." in says(page)) == (why is not None)


def test_a_method_without_a_network_says_so_in_its_card(open_page, studio):
    run_id = studio.learned(values, method={"name": "trades"})
    said = says(open_page("samples", run=run_id, sample="7"))
    assert "It cannot be told. No network reads the six characteristics alone." in said


def test_the_order_of_doubt_is_within_the_class_whatever_the_class_gets(open_page, studio):
    def offset(epoch: int) -> dict[str, np.ndarray]:
        found = values(epoch)
        given = identity()["given_label"]
        found["anti_adversary_weight"] = (
            0.09 * given + 0.05 * np.random.default_rng(0).random(N)
        ).astype(np.float32)
        return found

    run_id = studio.learned(offset, 1)
    page = open_page("samples", run=run_id, order="doubt")
    first = [block.value for block in page.markdown if ":gray[· sample" in block.value][:6]
    assert len({text.split(":gray")[0] for text in first}) == 6  # each the first of its class
    page = open_page("samples", run=run_id, order="high")
    first = [block.value for block in page.markdown if ":gray[· sample" in block.value][:6]
    assert len({text.split(":gray")[0] for text in first}) == 1


def test_the_run_that_opens_first_told_samples_apart_and_a_link_still_wins(studio, open_page):
    reads.most_telling.clear()
    telling = studio.learned(values)
    alike = studio.learned(lambda epoch: values(epoch, spread=0.0), method={"name": "pgd-at"})
    page = open_page("samples")
    assert page.selectbox(key="choice-run").value == telling
    assert open_page("samples", run=alike).selectbox(key="choice-run").value == alike


def test_suspects_are_asked_for_and_what_is_missing_is_told_in_a_line(open_page, studio):
    run_id = studio.learned(values)
    page = open_page("samples", run=run_id)
    page.button(key="find-suspects").click().run()
    assert not page.exception
    assert "it has no checkpoint yet: train at least one epoch" in says(page)


def test_an_export_that_cannot_be_made_is_told_and_another_is_offered(open_page, studio):
    page = open_page("run", id=studio.finished(), tab="Setup")
    page.selectbox(key="export-what").select("torch-export").run()
    page.button(key="export").click().run()
    assert "it has no checkpoint yet" in says(page)
    page.selectbox(key="export-what").select("card").run()
    page.button(key="export").click().run()
    assert not page.exception
    assert "it has no checkpoint yet" not in says(page)
    assert "Download" in [button.label for button in page.get("download_button")]


def test_the_sentence_names_the_three_characteristics_that_did_most():
    shares = {"loss": 0.2, "class_loss": 0.0, "gradient_norm": -0.05, "margin": 0.1}
    found = Explanation("anti_adversary_weight", 0.5, 0.25, shares, shares, shares)
    assert words.why(found) == (
        "Anti-adversary weight 0.500; with the mean characteristics of its class 0.250. Of the "
        "difference, +0.250: loss +0.200, margin +0.100, norm of the gradient -0.050."
    )
    alike = Explanation("clean_weight", 0.5, 0.5, dict.fromkeys(shares, 0.0), shares, shares)
    assert words.why(alike).endswith("its class 0.500: there is nothing to explain.")
    assert set(charts()["weight_contributions"].columns) == set(contributions(found))


def test_the_run_page_has_a_name_for_every_kind_of_export():
    assert exports.NAMES.keys() == KINDS.keys()
    assert suspects.ORDERS.keys() == set(SUSPECTS_BY)
