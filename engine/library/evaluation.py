"""evaluate(model, data): the errors of any model, class by class, under an attack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engine.attacks.base import Conditions, EvaluationAttack
from engine.errors import UserError
from engine.evaluation.card import Subject, card_of
from engine.evaluation.evaluate import examine
from engine.lazy import torch
from engine.library.asked import attack_asked, device_of, require_classifier
from engine.library.images import Given, require_known, tested_on
from engine.library.report import Report, report_of

if TYPE_CHECKING:
    from torch import nn

BATCH_SIZE = 500


def evaluate(
    model: nn.Module,
    data: Given,
    attack: str | Mapping[str, Any] | EvaluationAttack = "pgd",
    *,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> Report:
    """Measure a model's natural, boundary and robust error in each class, on test images.

    Args:
        model: From images (B, channels, size, size) in [0, 1] to logits (B, C), with its
            normalisation inside. It stays where it is and as it is.
        data: The test part of what `load_data` returns or of ``(x_train, y_train, x_test,
            y_test)``, or ``(x, y)``. Images are bytes, or floats in [0, 1], which are rounded to
            bytes; labels are whole numbers from 0.
        attack: A name of ``engine.attacks.names()``, or its fields, as in
            ``{"attack": "pgd", "norm": "l2", "epsilon": 0.5, "num_steps": 50}``.
        seed: Of the attack's draws.
        batch_size: Images at a time; draws depend on it.

    Raises:
        UserError: Model, data or attack do not go together; nothing was attacked.

    >>> import torch
    >>> from engine import evaluate, load_data
    >>> data = load_data("digits")
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    >>> found = evaluate(model, data, {"attack": "pgd", "epsilon": "8/255", "num_steps": 4})
    >>> bool(found.robust_error.average >= found.natural_error.average)
    True
    >>> found.card.label, found.card.n
    ('PGD-4', 360)
    """
    images, names = tested_on(data)
    if not isinstance(batch_size, int) or batch_size < 1:
        raise UserError(f"batch_size: {batch_size!r} is not valid; allowed: at least 1")
    chosen, device = attack_asked(attack, images.images[0].size), device_of(model)
    first = torch.from_numpy(images.images[:2]).to(device) / 255
    num_classes = require_classifier(model, first)
    names = names or tuple(map(str, range(num_classes)))
    if len(names) != num_classes:
        told = f"it gives {num_classes} logits, and the data have {len(names)} classes"
        raise UserError(f"model: {told}; give labels of the model's own classes")
    require_known("y", images.labels, names)
    conditions = Conditions(seed, batch_size)
    found = examine(model, images, chosen, conditions=conditions, device=device)
    subject = Subject(
        images=images,
        num_classes=num_classes,
        split="test",
        whole=len(images),
        checkpoint="as given",
        trained=None,
        method=f"own model ({type(model).__name__})",
    )
    card = card_of(chosen, subject, conditions, n=len(images))
    return report_of(found.columns(images), card, names)
