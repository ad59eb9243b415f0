"""What a model says of labelled images, and which labels it contradicts."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch import nn

from engine.inspection.opinions import Opinions, opinions
from engine.models.classifier import Classifier
from engine.types import DeviceImages


def test_loss_margin_and_confidence_are_those_of_the_logits_in_batches_of_any_size():
    torch.manual_seed(0)
    model = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), torch.zeros(3), torch.ones(3))
    images = torch.randint(0, 256, (11, 3, 2, 2), dtype=torch.uint8)
    y = torch.randint(0, 5, (11,))
    with torch.no_grad():
        logits = model(images.float() / 255).numpy().astype(np.float64)
    p, rows, labels = softmax(logits, axis=1), np.arange(11), y.numpy()
    others = p.copy()
    others[rows, labels] = -1
    for batch_size in (1, 4, 100):
        said = opinions(model, DeviceImages(images, y), batch_size)
        assert said.predicted.tolist() == logits.argmax(axis=1).tolist()
        assert said.loss == pytest.approx(-log_softmax(logits, axis=1)[rows, labels], abs=1e-6)
        assert said.confidence == pytest.approx(p[rows, labels], abs=1e-6)
        assert said.margin == pytest.approx(p[rows, labels] - others.max(axis=1), abs=1e-6)
        assert said.certainty == pytest.approx(p.max(axis=1), abs=1e-6)
    assert model.training


def test_a_label_is_contradicted_by_another_class_as_sure_as_that_class_usually_is():
    labels = np.array([0, 0, 1, 1, 1])
    p = np.array([[0.9, 0.1], [0.3, 0.7], [0.45, 0.55], [0.2, 0.8], [0.4, 0.6]])
    usual = [p[labels == c, c].mean() for c in (0, 1)]  # 0.6 and 0.65
    said = Opinions(p.argmax(axis=1), p[:, 0], p[:, 0], p[np.arange(5), labels], p.max(axis=1))
    expected = [
        p[row].argmax() != labels[row] and p[row].max() >= usual[p[row].argmax()]
        for row in range(5)
    ]
    assert said.contradicts(labels).tolist() == expected == [False, True, False, False, False]


def test_a_class_that_nobody_is_given_may_be_what_the_model_says():
    said = Opinions(np.array([2, 0]), *(np.array([0.5, 0.5]) for _ in range(4)))
    assert said.contradicts(np.array([0, 0])).tolist() == [True, False]
