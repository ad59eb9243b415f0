"""One image with both of its copies, as a model sees them: what a threat model means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from engine.lazy import torch
from engine.models.modes import eval_mode
from engine.objective import Objective
from engine.perturbation.threat import ThreatConfig
from engine.seeds import torch_stream
from engine.types import ByteArray, DeviceImages

if TYPE_CHECKING:
    from engine.models.classifier import Classifier

BOTH = Objective(climbs="ce", start="uniform", adversary=True, anti_adversary=True)
VIEWS = ("image", "adversary", "anti_adversary")


@dataclass(frozen=True)
class Glance:
    """What a model says of an image, of its adversary and of its anti-adversary.

    Attributes:
        deltas: View -> what was added to the image, (channels, height, width) in pixels.
        predictions: View -> the class that the model names.
        probabilities: View -> the given label's probability.
    """

    deltas: dict[str, npt.NDArray[np.float16]]
    predictions: dict[str, int]
    probabilities: dict[str, float]


def glance(
    model: Classifier, threat: ThreatConfig, image: ByteArray, *, label: int, seed: int
) -> Glance:
    """Move one image (channels, height, width) both ways with the training attack."""
    from engine.perturbation.training import TrainingAttack

    device = model.mean.device
    labels = torch.tensor([label], device=device)
    images = DeviceImages(torch.from_numpy(image[None]).to(device), labels)
    batch = images.batch(torch.zeros(1, dtype=torch.int64, device=device))
    rng = torch_stream(seed, "glance", device=device)
    bound = torch.tensor([threat.epsilon], device=device)
    copies = TrainingAttack(model, threat, rng)(batch, None, bound, objective=BOTH)
    assert copies.adversary is not None
    assert copies.anti_adversary is not None
    x = torch.cat([batch.x, copies.adversary, copies.anti_adversary])
    with torch.no_grad(), eval_mode(model):
        p = model(x).softmax(dim=1).cpu()
    deltas = (x - batch.x).cpu().numpy().astype(np.float16)
    return Glance(
        dict(zip(VIEWS, deltas, strict=True)),
        dict(zip(VIEWS, p.argmax(dim=1).tolist(), strict=True)),
        dict(zip(VIEWS, p[:, label].tolist(), strict=True)),
    )
