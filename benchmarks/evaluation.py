"""How much does an evaluation save by leaving out what is broken? Ratios measured side by side.

    python benchmarks/evaluation.py [--pairs 5] [--images 250] [--backbone preact-resnet18]

PGD, 20 steps, 5 restarts, on Fashion-MNIST's test images and a small network that is trained here
on adversaries; the radius is the one at which about 40 % of the images withstand. Every line says
how many times as long another way of finding the same images takes: min, median and max over
pairs. Single times on a busy machine mean nothing; ratios do.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

# The folder of this file has a file that is called like the package it measures.
sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).parent]

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.attacks.base import Conditions
from engine.attacks.pgd import Pgd
from engine.data.datasets.base import datasets
from engine.evaluation.evaluate import examine
from engine.models.backbones.base import BACKBONES, BackboneConfig
from engine.models.classifier import Classifier, channel_statistics
from engine.models.modes import eval_mode
from engine.perturbation.norms import LinfBall
from engine.perturbation.steps import perturb, random_start
from engine.seeds import initialising
from engine.types import BoolArray, ImageSet

STEPS, RESTARTS, BATCH, TRAINED, LEFT = 20, 5, 250, 0.2, 0.4
CPU = torch.device("cpu")


def trained_model(train: ImageSet, backbone: BackboneConfig, num_steps: int) -> nn.Module:
    """Train on the adversaries of four steps."""
    mean, std = channel_statistics(torch.from_numpy(train.images))
    with initialising(0, "model"):
        model = Classifier(backbone.build(1, 28, 10), mean, std)
    images, rng = train.to(CPU), torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    step, radius = torch.full((128,), TRAINED / 2), torch.full((128,), TRAINED)
    for _ in range(num_steps):
        batch = images.batch(torch.randint(len(images), (128,), generator=rng))
        ball = LinfBall(batch.x, radius)
        start = random_start(ball, start="uniform", generator=rng)

        def losses(x: Tensor, y: Tensor = batch.y) -> Tensor:
            return F.cross_entropy(model(x), y, reduction="none")

        with eval_mode(model):
            x_adv = perturb(losses, ball, start, step=step, num_steps=4)
        optimizer.zero_grad()
        F.cross_entropy(model(x_adv), batch.y).backward()
        optimizer.step()
    return model.eval()


def ours(model: nn.Module, test: ImageSet, epsilon: float) -> BoolArray:
    attack = Pgd(epsilon=epsilon, num_steps=STEPS, restarts=RESTARTS)
    return examine(model, test, attack, conditions=Conditions(0, BATCH), device=CPU).robust


# -- the same attack on all images, at every step of every restart


def of_all(
    model: nn.Module, test: ImageSet, epsilon: float, gradient: Callable[[Tensor, Tensor], Tensor]
) -> BoolArray:
    """Return which images (N,) were wrong at any step, with a loss's gradient at the images."""
    x_all = torch.from_numpy(test.images).float() / 255
    y_all, rng = torch.from_numpy(test.labels), torch.Generator().manual_seed(0)
    with torch.no_grad():
        broken = model(x_all).argmax(1) != y_all
    for index in torch.arange(len(y_all)).split(BATCH):
        x, y = x_all[index], y_all[index]
        for _ in range(RESTARTS):
            noise = torch.empty_like(x).uniform_(-epsilon, epsilon, generator=rng)
            x_adv = (x + noise).clamp(0, 1)
            for _ in range(STEPS):
                x_adv = x_adv.detach().requires_grad_()
                logits = model(x_adv)
                broken[index] |= logits.argmax(1) != y
                uphill = gradient(F.cross_entropy(logits, y), x_adv).sign()
                delta = (x_adv.detach() + epsilon / 4 * uphill - x).clamp(-epsilon, epsilon)
                x_adv = (x + delta).clamp(0, 1)
            with torch.no_grad():
                broken[index] |= model(x_adv).argmax(1) != y
    return broken.numpy()


def at_images_only(loss: Tensor, x_adv: Tensor) -> Tensor:
    return torch.autograd.grad(loss, x_adv)[0]


def everywhere(loss: Tensor, x_adv: Tensor) -> Tensor:
    """As it is often written: the gradient goes into every parameter too."""
    loss.backward()
    assert x_adv.grad is not None
    return x_adv.grad


# -- measuring


def radius_that_leaves(share: float, model: nn.Module, test: ImageSet) -> float:
    """Return the radius at which this share of the images withstands, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if 1 - ours(model, test, middle).mean() > share else (low, middle)
        )
    return middle


def timed(work: Callable[[], BoolArray]) -> tuple[float, float]:
    """Return the CPU seconds that it takes, and the share of images that withstand."""
    began = time.process_time()  # others on the machine do not count
    broken = work()
    return time.process_time() - began, 1 - float(broken.mean())


def main() -> None:
    """Print both ratios."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--pairs", type=int, default=5)
    options.add_argument("--images", type=int, default=250)
    options.add_argument("--backbone", default="preact-resnet18")
    options.add_argument("--width", type=int, default=8)
    options.add_argument("--train-steps", type=int, default=150)
    options.add_argument("--threads", type=int, default=1)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.set_flush_denormal(True)
    train, test = datasets()["fashion-mnist"].load(Path("data"))
    backbone = BACKBONES[chosen.backbone].model_validate({"width": chosen.width})
    model = trained_model(train.take(np.arange(len(train))), backbone, chosen.train_steps)
    test = test.take(np.arange(chosen.images))
    epsilon = radius_that_leaves(LEFT, model, test)
    print(f"{chosen.backbone}, width {chosen.width}, {chosen.images} images, batch {BATCH}, "
          f"{STEPS} steps, {RESTARTS} restarts, radius {epsilon:.3f}, {chosen.threads} threads, "
          f"torch {torch.__version__}, {chosen.pairs} pairs")  # fmt: skip
    found = ours(model, test, epsilon)
    print(f"{'robust accuracy, ours':58} {1 - found.mean():6.3f}")
    print(f"{'ratio of':58} {'min':>6} {'median':>6} {'max':>6}")
    for name, gradient in (
        ("all images, gradient at the images only / ours", at_images_only),
        ("all images, as PGD is often written / ours", everywhere),
    ):
        pairs = [
            (
                timed(lambda gradient=gradient: of_all(model, test, epsilon, gradient)),
                timed(lambda: ours(model, test, epsilon)),
            )
            for _ in range(chosen.pairs)
        ]
        ratios = [whole / dropping for (whole, _), (dropping, _) in pairs]
        low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
        print(f"{name:58} {low:6.2f} {middle:6.2f} {high:6.2f}", flush=True)
        print(f"{'  its robust accuracy':58} {pairs[0][0][1]:6.3f}", flush=True)


if __name__ == "__main__":
    main()
