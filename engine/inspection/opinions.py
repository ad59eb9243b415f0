"""What a model says of labelled images: its loss, margin and confidence, and what it would say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.lazy import F, torch
from engine.models.modes import eval_mode
from engine.types import BoolArray, DeviceImages, FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

    from engine.models.classifier import Classifier


@dataclass(frozen=True)
class Opinions:
    """What a model says of samples and their given labels y, (N,) each.

    Attributes:
        predicted: The class of the largest logit.
        loss: CE(f(x), y), in nats.
        margin: p_y - max_{k != y} p_k, -1 to 1.
        confidence: p_y.
        certainty: p of the predicted class.
    """

    predicted: IntArray
    loss: FloatArray
    margin: FloatArray
    confidence: FloatArray
    certainty: FloatArray

    def contradicts(self, labels: IntArray) -> BoolArray:
        """Tell which given labels (N,) the model contradicts with confidence.

        It takes the sample for another class, and is at least as sure of that as it is on average
        of the samples that are given that class: the rule of confident learning (Northcutt et al.
        2021) for the most probable class. The probabilities there are of models that never saw the
        sample; here the model may have trained on it, and contradicts fewer labels.
        """
        size = int(max(labels.max(), self.predicted.max())) + 1
        total = np.bincount(labels, weights=self.confidence, minlength=size)
        usual = total / np.maximum(np.bincount(labels, minlength=size), 1)
        is_sure: BoolArray = self.certainty >= usual[self.predicted]
        found: BoolArray = is_sure & (self.predicted != labels)
        return found


def opinions(model: Classifier, images: DeviceImages, batch_size: int) -> Opinions:
    """Ask a model, in eval mode and float32, for what it says of images on its own device."""
    found: list[Tensor] = []
    with torch.no_grad(), eval_mode(model), model.in_float32():
        for index in torch.arange(len(images), device=images.labels.device).split(batch_size):
            batch = images.batch(index)
            found.append(_said(model(batch.x), batch.y).cpu())
    predicted, loss, margin, confidence, certainty = torch.cat(found, dim=1).numpy()
    whole: IntArray = predicted.astype(np.int64)
    return Opinions(whole, loss, margin, confidence, certainty)


def _said(logits: Tensor, y: Tensor) -> Tensor:
    """(5, B) float32: predicted class, loss, margin, p_y and the largest p."""
    p = logits.softmax(dim=1)
    p_label = p.gather(1, y[:, None]).squeeze(1)
    rival = p.scatter(1, y[:, None], -1.0).amax(dim=1)
    certainty, predicted = p.max(dim=1)
    loss = F.cross_entropy(logits, y, reduction="none")
    return torch.stack([predicted.float(), loss, p_label - rival, p_label, certainty])
