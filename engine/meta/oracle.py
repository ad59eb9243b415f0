"""A second network that says which labels of a noisy, imbalanced training set to believe."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.data.augmentation import crop_and_mirror
from engine.lazy import F, nn, torch
from engine.models.modes import eval_mode
from engine.seeds import derive_seed, initialising, torch_stream
from engine.types import DeviceImages, one_hot, under

if TYPE_CHECKING:
    from torch import Tensor

PROJECTED, HIDDEN = 128, 256
"""Sizes of the heads of the feature consistency, as released."""
MIXUP = 4.0
"""Both parameters of the beta distribution that mixup draws from, as released."""
AT_A_TIME = 512


@dataclass(frozen=True)
class Believed:
    """What an oracle makes of the given labels of N training images.

    Attributes:
        labels: (N,) the given label, or the oracle's own where it is sure.
        selected: (M,) positions of the images whose label their neighbours agree with.
    """

    labels: Tensor
    selected: Tensor


class Oracle:
    """An encoder and a classifier, with two heads that keep features alike under augmentation.

    Omnipotent adversarial training (Li et al., arXiv 2307.08596, and its released code): labels of
    which the oracle is sure are replaced, images whose label wins the class-balanced vote of their
    nearest neighbours are selected, and the oracle trains on those, drawn evenly by class and mixed
    up, beside the consistency of features (SimSiam; Chen and He, CVPR 2021) of all images.

    Args:
        like: A model of the same kind, whose layers are made anew.
        images: The training images with their given labels.
        sure: Probability from which the oracle's label replaces the given one.
        neighbours: That vote on an image, itself among them; all images where there are fewer.
        lr, momentum, weight_decay: Of its SGD.
        batch_size: Images a step.
    """

    def __init__(  # noqa: PLR0913 - its settings, by name
        self,
        like: nn.Module,
        images: DeviceImages,
        *,
        num_classes: int,
        seed: int,
        sure: float,
        neighbours: int,
        lr: float,
        momentum: float,
        weight_decay: float,
        batch_size: int,
    ) -> None:
        self.images, self.seed, self.num_classes = images, seed, num_classes
        self.sure, self.neighbours, self.batch_size = sure, neighbours, batch_size
        with initialising(seed, "oracle"):
            encoder, classifier = _split(copy.deepcopy(like))
            width = classifier.in_features
            project, predict = _head(width, PROJECTED), _head(PROJECTED, PROJECTED)
        parts = {"encoder": encoder, "classifier": classifier, "project": project}
        self.network = nn.ModuleDict({**parts, "predict": predict}).to(images.labels.device)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay
        )

    # -- what it says

    def probabilities(self, x: Tensor) -> Tensor:
        """Return its softmax, (B, C), in eval mode."""
        with torch.no_grad(), eval_mode(self.network):
            logits: Tensor = self.network["classifier"](self.network["encoder"](x))
        return logits.softmax(dim=1)

    def class_counts(self) -> Tensor:
        """Return how many training images it puts into each class, (C,)."""
        said = torch.cat([p.argmax(dim=1) for _, p in self._features()])
        return torch.bincount(said, minlength=self.num_classes)

    def _features(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield features, of length 1, and probabilities of the training images, in their order."""
        device = self.images.labels.device
        with torch.no_grad(), eval_mode(self.network):
            for index in torch.arange(len(self.images), device=device).split(AT_A_TIME):
                found = self.network["encoder"](self.images.batch(index).x)
                yield F.normalize(found, dim=1), self.network["classifier"](found).softmax(dim=1)

    def believe(self) -> Believed:
        """Relabel what it is sure of, and select by the vote of the nearest in feature space."""
        features, probabilities = (torch.cat(each) for each in zip(*self._features(), strict=True))
        confidence, said = probabilities.max(dim=1)
        labels = torch.where(confidence > self.sure, said, self.images.labels)
        member = one_hot(labels, self.num_classes, features.dtype)
        share = member.mean(dim=0) + 1e-10
        selected = []
        for start, part in enumerate(features.split(AT_A_TIME)):
            nearest = (part @ features.T).topk(min(self.neighbours, len(features)), dim=1).indices
            votes = member[nearest].mean(dim=1) / share
            mine = labels[start * AT_A_TIME :][: len(part)]
            # a tie is won, whatever rounding makes of it
            wins = votes.gather(1, mine[:, None]).squeeze(1) >= votes.amax(dim=1) * (1 - 1e-5)
            selected.append(wins)
        return Believed(labels, torch.cat(selected).nonzero().squeeze(1))

    # -- how it learns

    def train_epoch(self, epoch: int) -> Believed:
        """Believe, then take a step for each batch of the training images; return what it believed.

        An epoch in which no image is selected trains on features alone.
        """
        believed = self.believe()
        device = self.images.labels.device
        rng = torch_stream(self.seed, "oracle", epoch, device=device)
        lam = np.random.default_rng(derive_seed(self.seed, "oracle mixup", epoch))
        order = torch.randperm(len(self.images), generator=rng, device=device)
        self.network.train()
        for index in order.tensor_split(max(1, len(order) // self.batch_size)):
            loss = self._consistency(self.images.batch(index).x, rng)
            if len(believed.selected):
                share = float(lam.beta(MIXUP, MIXUP))
                loss = loss + self._mixed_up(believed, len(index), rng, share=max(share, 1 - share))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return believed

    def _consistency(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return the mean negative cosine of one view's prediction and the other's projection."""
        first, second = (
            self.network["project"](self.network["encoder"](crop_and_mirror(x, rng)))
            for _ in range(2)
        )
        return -F.cosine_similarity(self.network["predict"](second), first.detach(), dim=1).mean()

    def _mixed_up(
        self, believed: Believed, size: int, rng: torch.Generator, *, share: float
    ) -> Tensor:
        """Return the cross-entropy of two views of a balanced draw, mixed up with one another."""
        labels = believed.labels[believed.selected]
        counts = torch.bincount(labels, minlength=self.num_classes)
        evenly = 1 / counts[labels].float()
        drawn = torch.multinomial(evenly, size, replacement=True, generator=rng)
        x = self.images.batch(believed.selected[drawn]).x
        views = torch.cat([crop_and_mirror(x, rng), crop_and_mirror(x, rng)])
        target = one_hot(labels[drawn], self.num_classes, views.dtype).repeat(2, 1)
        other = torch.randperm(len(views), generator=rng, device=views.device)
        mixed = share * views + (1 - share) * views[other]
        mixed_target = share * target + (1 - share) * target[other]
        logits = self.network["classifier"](self.network["encoder"](mixed))
        return F.cross_entropy(logits, mixed_target)

    # -- state

    def state(self) -> dict[str, Tensor]:
        learned = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        momentum = {
            f"momentum.{name}": self.optimizer.state[parameter]["momentum_buffer"]
            for name, parameter in self.network.named_parameters()
            if self.optimizer.state[parameter].get("momentum_buffer") is not None
        }
        return learned | momentum

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.network.load_state_dict(under("network.", state))
        momentum = under("momentum.", state)
        for name, parameter in self.network.named_parameters():
            if name in momentum:
                self.optimizer.state[parameter]["momentum_buffer"] = momentum[name]


def _split(model: nn.Module) -> tuple[nn.Module, nn.Linear]:
    """Make every layer anew, and take the last linear one off: what is left gives features."""
    for module in model.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
    if hasattr(model, "bf16"):
        setattr(model, "bf16", False)  # noqa: B010 - the type is of whatever is a model
    name, last = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear)][-1]
    path, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(path), leaf, nn.Identity())
    return model, last


def _head(width: int, out: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(width, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, out)
    )
