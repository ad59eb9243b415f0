"""Images before the launch: what the model will be shown, and what an attack does to one."""

import re

import pytest

from app.new_run.preview_images import NUMBER
from engine.data.datasets.base import datasets
from engine.data.preparation import prepare
from engine.scenario import Scenario
from tasks.results import preview


def captions(page) -> list[str]:
    return [caption.value.replace("\\", "") for caption in page.caption]


def test_images_are_drawn_only_when_they_are_asked_for(studio, open_page):
    assert not open_page("new_run").get("image")


def test_wrong_labels_are_marked_among_the_drawn_images(studio, open_page, tmp_path):
    page = open_page("new_run", images="true")
    images = page.get("image")
    assert len(images) == NUMBER + 5
    scenario = Scenario.model_validate({"data": {"noise": {"kind": "pair", "ratio": 0.2}}})
    shown = preview.drawn_images(scenario, NUMBER)
    wrong = [
        f"{given}, is {true}"
        for given, true in zip(shown.labels, shown.true_labels, strict=True)
        if given != true
    ]
    marked = [text.value for text in page.markdown if ":red[✗" in text.value]
    assert wrong
    assert [re.search(r"✗ (.*)\]\]", text).group(1) for text in marked] == wrong
    assert f"{len(wrong)} of them with a wrong label, marked ✗." in captions(page)
    train = prepare(scenario.data, 0, tmp_path).train
    assert set(shown.source) <= set(train.source)


def test_an_attack_is_shown_by_the_model_as_it_starts(studio, open_page):
    page = open_page("new_run", images="true")
    said = captions(page)
    assert sum("says" in text for text in said) == 3
    assert any("A trained model stands here once a run has finished" in text for text in said)


def test_a_trained_model_attacks_the_same_image_within_the_same_threat_model(
    studio, open_page, monkeypatch
):
    run_id = studio.finished("Before")
    asked = []

    def trained(database, run_id, threat, image, label):
        asked.append((run_id, threat.epsilon))
        scenario = Scenario.model_validate({"threat": {"epsilon": threat.epsilon}})
        return preview.Trained(preview.by_untrained(scenario, image, label), "last epoch")

    monkeypatch.setattr(preview, "by_trained", trained)
    page = open_page("new_run", images="true")
    assert asked == [(run_id, pytest.approx(16 / 255))]
    assert len(page.get("image")) == NUMBER + 10
    titles = [text.value.replace("\\", "") for text in page.markdown if "Attacked" in text.value]
    assert titles[1] == "**Attacked** by a trained model: caat · Before, seed 0, last epoch"


def test_a_trained_model_that_cannot_be_loaded_is_told(studio, open_page):
    studio.finished("Without a checkpoint")
    said = captions(open_page("new_run", images="true"))
    assert any("No trained model is shown" in text for text in said)


def test_a_dataset_that_is_not_here_is_told(studio, open_page, monkeypatch):
    monkeypatch.setattr(type(datasets()["digits"]), "is_here", lambda self, folder: False)
    page = open_page("new_run", images="true")
    assert not page.get("image")
    assert any("is not on this machine yet" in text for text in captions(page))
