"""What the library refuses: each mistake is one line that says what, where and what to do."""

import numpy as np
import pytest
import torch
from torch import nn

from engine import UserError, evaluate, load_data, perturb, train
from engine.data.datasets.base import DATASETS
from engine.library.images import as_bytes

X, Y = torch.rand(12, 1, 4, 4), torch.arange(12) % 2
FOUR = (X, Y, X, Y)
NET = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))


class Tuples(nn.Module):
    def forward(self, x):
        return x, x


def nan_net():
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    nn.init.constant_(net[1].weight, float("nan"))
    return net


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ((X, Y), r"data: give \(x_train, y_train, x_test, y_test\)"),
        ("digits", "data: give"),
        ((X * 300, Y, X, Y), "x_train: floats from .* are no images"),
        ((X * 255, Y, X, Y), "divide x_train by 255"),
        ((X * float("nan"), Y, X, Y), "x_train: floats from nan"),
        ((X - 1, Y, X, Y), "bring them into"),
        ((X.long(), Y, X, Y), "x_train: int64 is no kind of image"),
        ((X[..., :3], Y, X, Y), "4 x 3 are not square"),
        ((torch.rand(12, 8, 8, 3), Y, X, Y), r"channels last; write x_train.permute\(0, 3, 1, 2\)"),
        ((X[:0], Y[:0], X, Y), r"shape \(0, 1, 4, 4\) is no set of images"),
        ((X, Y[:5], X, Y), r"y_train: shape \(5,\) does not go with 12 images"),
        ((X, Y.float(), X, Y), "labels are not all whole numbers"),
        ((X, Y - 1, X, Y), "labels are not all whole numbers"),
        ((X, Y, torch.rand(12, 3, 4, 4), Y), "x_train and x_test differ in shape"),
        ((X, Y, X, Y + 1), "y_test: label 2 of row 1 is no class; allowed: 0 to 1"),
        ((X, Y * 0, X, Y * 0), "one class cannot be told apart"),
        ((X, torch.tensor([0] * 10 + [1] * 2), X, Y), "class '1' has 2 training images"),
    ],
)
def test_data_that_are_none_are_refused_in_a_line(data, told):
    before = dict(DATASETS.all())
    with pytest.raises(UserError, match=told) as refused:
        train({}, data=data)
    assert "\n" not in str(refused.value)
    assert DATASETS.all() == before


@pytest.mark.parametrize(
    ("scenario", "options", "told"),
    [
        (3, {}, "scenario: a int is none"),
        ({"training": {"epochs": 0}}, {}, "training.epochs: 0 is not valid"),
        ({"method": {"name": "mine"}}, {}, "method: 'mine' is unknown; choose"),
        ({"data": {"train_size": 99}}, {"data": FOUR}, "data.train_size: 99 is not valid"),
        ({"data": 3}, {"data": FOUR}, "data: 3 is not valid; write a table"),
        ({}, {"device": "gpu"}, "device: 'gpu' is unknown"),
        ({}, {"model": 3, "data": FOUR}, "model: a int is none"),
        ({}, {"model": nn.Linear(5, 2), "data": FOUR}, r"not take images of \(1, 4, 4\)"),
        ({}, {"model": Tuples(), "data": FOUR}, "model: it gives a tuple for 2 images"),
        ({}, {"model": nn.Flatten(), "data": FOUR}, "16 logits, and the data have 2 classes"),
        ({}, {"model": nan_net(), "data": FOUR}, "logits are not finite"),
        ({}, {"model": nn.Sequential(nn.Flatten(), nn.AvgPool1d(8)), "data": FOUR}, "no parameter"),
        ({"training": {"start_from": "0" * 64}}, {}, "training.start_from: give the network"),
    ],
)
def test_a_run_that_cannot_be_is_refused_in_a_line(scenario, options, told):
    with pytest.raises(UserError, match=told) as refused:
        train(scenario, **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"data": (X,)}, r"data: give \(x, y\)"),
        ({"data": (X, Y + 5)}, "label 6 of row 1 is no class; allowed: 0 to 1"),
        ({"data": load_data("digits")}, "not take images of"),
        ({"attack": "mine"}, "attack: 'mine' is unknown; choose apgd, autoattack, pgd, square"),
        ({"attack": {"epsilon": "9"}}, "attack: 9 is not valid in linf; allowed: 0 to 1"),
        ({"attack": {"num_steps": 0}}, "attack.num_steps: 0 is not valid"),
        ({"attack": {"queries": 0}}, "attack.queries: unknown key"),
        ({"attack": 3}, "attack: a int is none"),
        ({"attack": {"num_steps": 2, "step_size": 1e-4}}, "do not reach the radius"),
        ({"batch_size": 0}, "batch_size: 0 is not valid"),
    ],
)
def test_an_evaluation_that_cannot_be_is_refused_in_a_line(given, told):
    asked = {"data": (X, Y), "attack": "pgd", **given}
    with pytest.raises(UserError, match=told) as refused:
        evaluate(NET, asked.pop("data"), **asked)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"x": X[0]}, r"x: \(1, 4, 4\) is no batch"),
        ({"x": X.numpy()}, "x: ndarray is no batch"),
        ({"x": X * 255}, "x: images are floats in"),
        ({"x": X * float("nan")}, "x: images are floats in"),
        ({"y": Y[:3]}, "y: shape"),
        ({"y": Y + 1}, "y: label 2 is no class of the model; allowed: 0 to 1"),
        ({"threat": {"epsilon": 2}}, "threat.epsilon: 2 is not valid in linf"),
        ({"threat": {"steps": 2}}, "threat.steps: unknown key"),
        ({"threat": {"norm": "l2", "epsilon": 9}}, "threat.epsilon: 9 is not valid in l2"),
        ({"threat": 0.1}, "threat: a float is none"),
        ({"bounds": torch.ones(3)}, "bounds: shape"),
        ({"bounds": -torch.ones(12)}, "bounds: a radius is a finite number"),
        ({"bounds": 2 * torch.ones(12)}, "bounds: 2 is not valid in linf"),
        ({"direction": "up"}, "direction: choose 'adversary' or 'anti-adversary'"),
        ({"direction": torch.ones(12)}, "direction: choose"),
        ({"direction": torch.ones(3).bool()}, "direction: choose"),
    ],
)
def test_a_perturbation_that_cannot_be_is_refused_in_a_line(given, told):
    asked = {"x": X, "y": Y, **given}
    with pytest.raises(UserError, match=told) as refused:
        perturb(NET, **asked)
    assert "\n" not in str(refused.value)


def test_an_unknown_dataset_is_refused_with_those_that_are_known():
    with pytest.raises(UserError, match=r"data: '<b>\\n' is unknown; choose cifar10, .*digits"):
        load_data("<b>\n")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_bytes_come_back_from_floats_as_they_were(dtype):
    every = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    assert (as_bytes("x", every.astype(dtype) / dtype(255)) == every).all()
    assert (as_bytes("x", torch.from_numpy(every) / 255) == every).all()
