"""A glance: one image, its adversary and its anti-adversary."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from engine.data.preparation import prepare
from engine.inspection.single_image import glance
from engine.scenario import Scenario
from engine.training.build import initial_model


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 16 / 255), ("l2", 0.5)])
def test_both_copies_stay_in_the_ball_and_move_the_loss_their_way(norm, epsilon, tmp_path):
    scenario = Scenario.model_validate({"threat": {"norm": norm, "epsilon": epsilon}})
    data = prepare(scenario.data, 0, tmp_path)
    model = initial_model(scenario, data)
    image, label = data.train.images[5], int(data.train.labels[5])
    seen = glance(model, scenario.threat, image, label=label, seed=0)
    model.eval()
    loss = {}
    for view, delta in seen.deltas.items():
        size = np.abs(delta).max() if norm == "linf" else np.linalg.norm(delta.astype(float))
        assert size <= epsilon * 1.001
        x = torch.from_numpy(image / 255 + delta.astype(float)).float()[None]
        logits = model(x)
        loss[view] = F.cross_entropy(logits, torch.tensor([label])).item()
        assert seen.predictions[view] == logits.argmax().item()
        assert seen.probabilities[view] == pytest.approx(np.exp(-loss[view]), rel=1e-3)
    assert loss["anti_adversary"] < loss["image"] < loss["adversary"]


def test_a_glance_changes_nothing_about_the_model(tmp_path):
    scenario = Scenario()
    data = prepare(scenario.data, 0, tmp_path)
    model = initial_model(scenario, data)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    glance(model, scenario.threat, data.train.images[0], label=0, seed=0)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model.training
