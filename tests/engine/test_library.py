"""The library's own names: `from engine import ...`, as docs/library.md shows it."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import caat_studio
import engine
from engine import Scenario, UserError, evaluate, load_data, perturb, train
from engine.library import evaluation, images, perturbation, training
from engine.perturbation.norms import BALLS

GUIDE = Path(__file__).parents[2] / "docs" / "library.md"
TINY = {
    "training": {"epochs": 2, "batch_size": 32},
    "threat": {"num_steps": 2},
    "evaluation": {"num_steps": 4, "val_num_steps": 2},
    "model": {"backbone": "mlp", "width": 16},
}


def test_the_surface_is_small_and_each_name_is_what_its_own_file_defines():
    assert len(engine.__all__) <= 15
    assert engine.__all__ == caat_studio.__all__
    for name in engine.__all__:
        value = getattr(engine, name)
        assert getattr(caat_studio, name) is value
        assert name in dir(engine)
        assert value.__doc__


def test_the_guide_names_every_public_name():
    told = set(re.findall(r"`(\w+)`", GUIDE.read_text()))
    assert set(engine.__all__) <= told


def test_a_scenario_is_made_of_public_names_without_torch():
    script = (
        "import sys; from caat_studio import Scenario, UserError, methods, plugins; Scenario();"
        "methods.names(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("module", [evaluation, images, perturbation, training])
def test_the_examples_of_the_library_are_true(module):
    torch.manual_seed(0)
    found = doctest.testmod(module)
    assert found.attempted > 2
    assert not found.failed


def test_the_guides_examples_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    examples = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(examples) >= 4
    for example in examples:
        exec(compile(example, str(GUIDE), "exec"), names)
    assert "robust" in capsys.readouterr().out


@pytest.fixture(scope="module")
def data():
    return load_data("digits")


@pytest.fixture(scope="module")
def shapes():
    """Three classes of 12 x 12 colour images that a line can tell apart."""
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = rng.random((90, 3, 12, 12)) * 0.5
    x[np.arange(90), y] += 0.5
    return x[:60], y[:60], x[60:], y[60:]


def test_train_gives_what_caat_run_gives(run):
    scenario = Scenario.model_validate({**TINY, "method": {"name": "caat"}})
    trained, record = train(scenario, device="cpu"), run(engine.library.asked.new_scenario(TINY))
    assert trained.history == [report.measures for report in record.epochs]
    assert np.array_equal(trained.errors.outcomes["attacked"], record.final.outcomes["attacked"])
    assert trained.errors.card == record.final.card
    for name, values in record.epochs[-1].snapshot.columns.items():
        assert np.array_equal(trained.assignment[name], values)
    given = trained.assignment["given_label"]
    assert given.shape == trained.assignment["bound"].shape == (trained.facts.num_train,)


def test_the_model_that_train_returns_is_the_one_that_was_tested(data):
    changes = {"evaluation": {**TINY["evaluation"], "checkpoint": "best"}}
    trained = train({**TINY, **changes, "method": {"name": "trades"}}, device="cpu")
    again = evaluate(trained.model, data, {"attack": "pgd", "num_steps": 4})
    for name in ("clean", "attacked"):
        assert np.array_equal(again.outcomes[name], trained.errors.outcomes[name])
    assert again.card.trained_norm is None
    assert not trained.model.training


def test_a_model_and_data_of_ones_own_are_trained_and_stay_as_they_are(shapes):
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 144, 3))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    tables = {**TINY, "method": {"name": "trades"}, "data": {"noise": {"ratio": 0.1}}}
    tables["training"] = {"epochs": 8, "batch_size": 8}
    trained = train(tables, model=net, data=shapes, device="cpu")
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert isinstance(trained.model, nn.Sequential)
    assert trained.errors.natural_error.average < 0.2
    assert trained.errors.count.tolist() == [10, 10, 10]
    assert (trained.assignment["given_label"] != trained.assignment["true_label"]).any()
    assert trained.scenario.data.dataset not in engine.datasets.names()


def test_a_run_leaves_the_process_as_it_was(shapes):
    torch.use_deterministic_algorithms(False)
    threads = torch.get_num_threads()
    with pytest.raises(UserError):
        train({"training": {"epochs": -1}}, device="cpu")
    train({**TINY, "training": {"epochs": 1, "num_threads": 2}}, data=shapes, device="cpu")
    assert torch.get_num_threads() == threads
    assert torch.get_deterministic_debug_mode() == 0
    assert torch.tensor([1e-39]).mul(1.0).item() > 0


def test_a_report_counts_each_error_of_each_class_with_its_interval(data, robust_model):
    from statsmodels.stats.proportion import proportion_confint

    x, y = data.x_test[:200], data.y_test[:200]
    report = evaluate(robust_model, (x / 255, y), {"epsilon": 0.1, "num_steps": 5})
    wrong = {
        "natural_error": report.outcomes["clean"] != y.numpy(),
        "robust_error": report.outcomes["attacked"] != y.numpy(),
    }
    for name, marks in wrong.items():
        found = getattr(report, name)
        for label in range(10):
            mine = marks[y.numpy() == label]
            assert found.per_class[label] == pytest.approx(mine.mean())
            low, high = proportion_confint(mine.sum(), len(mine), method="wilson")
            assert (found.low[label], found.high[label]) == pytest.approx((low, high), abs=1e-9)
    parts = report.natural_error.per_class + report.boundary_error.per_class
    np.testing.assert_allclose(parts, report.robust_error.per_class)
    row = report.rows()[3]
    assert (row["class"], row["robust_error"]) == ("3", report.robust_error.per_class[3])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_each_image_moves_in_its_own_ball_and_its_own_direction(norm, data, robust_model):
    x, y = data.x_test[:40] / 255, data.y_test[:40]
    bounds = torch.linspace(0, 0.3, 40)
    climbs = torch.arange(40) % 2 == 0
    threat = {"norm": norm, "epsilon": 0.3, "num_steps": 20}
    moved = perturb(robust_model, x, y, threat, direction=climbs, bounds=bounds)
    order = float("inf") if norm == "linf" else 2
    distance = torch.linalg.vector_norm(moved - x, order, dim=(1, 2, 3))
    assert (distance <= bounds + 1e-6).all()
    assert (moved >= 0).all()
    assert (moved <= 1).all()
    loss = nn.CrossEntropyLoss(reduction="none")
    change = loss(robust_model(moved), y) - loss(robust_model(x), y)
    assert change[0] == 0
    assert (change[2::2] > 0).all()
    assert (change[1::2] <= 0).all()


def test_an_adversary_is_that_of_the_textbook(data, robust_model):
    x, y = data.x_test[:20] / 255, data.y_test[:20]
    threat = {"epsilon": 0.1, "step_size": 0.02, "num_steps": 7}
    found = perturb(robust_model, x, y, threat, seed=3)
    stream = engine.seeds.torch_stream(3, "perturb")
    moved = (x + 0.1 * torch.empty_like(x).uniform_(-1, 1, generator=stream)).clamp(0, 1)
    for _ in range(7):
        moved.requires_grad_()
        loss = nn.functional.cross_entropy(robust_model(moved), y)
        (slope,) = torch.autograd.grad(loss, moved)
        moved = (moved.detach() + 0.02 * slope.sign()).clamp(x - 0.1, x + 0.1).clamp(0, 1)
    torch.testing.assert_close(found, moved)
    assert set(BALLS) == {"linf", "l2"}
