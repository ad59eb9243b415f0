"""How fast is a training step? Ratios measured side by side in one run.

    python benchmarks/engine.py [--pairs 8] [--backbone small-cnn] [--threads 1]

Every line compares two ways of doing the same work on Fashion-MNIST's shapes (28 x 28, ten
classes), batch 128, 10 inner steps: min, median and max over pairs of their ratio. Pixels are
random: they cost what real ones cost. Single times on a busy machine mean nothing; ratios do.
"""

import argparse
import copy
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

# This file is called like the package it measures, and its folder is first on the path.
sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).parent]

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from engine.dataset import Data
from engine.loop import Trainer
from engine.observer import Progress
from engine.scenario import Scenario
from engine.types import Batch, ImageSet

BATCH, CLASSES, STEPS, EPSILON = 128, 10, 10, 8 / 255


class Silent:
    """An observer that keeps nothing."""

    def on_start(self, facts: object, samples: object) -> None: ...

    def on_progress(self, progress: Progress) -> None: ...

    def on_epoch(self, report: object) -> None: ...

    def on_finish(self, report: object) -> None: ...

    def should_stop(self) -> bool:
        return False


def random_set(size: int) -> ImageSet:
    rng = torch.Generator().manual_seed(size)
    images = torch.randint(0, 256, (size, 1, 28, 28), generator=rng, dtype=torch.uint8).numpy()
    labels = (torch.arange(size) % CLASSES).numpy()
    return ImageSet(images, labels, labels, torch.arange(size).numpy())


def trainer_of(backbone: dict[str, object], method: dict[str, object]) -> Trainer:
    """Return a trainer whose steps can be taken one by one."""
    scenario = Scenario.model_validate(
        {
            "data": {"dataset": "fashion-mnist"},
            "model": backbone,
            "method": method,
            "threat": {"epsilon": EPSILON, "num_steps": STEPS},
            "training": {"batch_size": BATCH},
        }
    )
    names = tuple(str(label) for label in range(CLASSES))
    data = Data(random_set(1024), random_set(512), random_set(256), random_set(256), names)
    trainer = Trainer(scenario, data, Silent(), torch.device("cpu"))
    trainer._begin(1)
    trainer.model.train()
    return trainer


def step_of(trainer: Trainer) -> Callable[[], None]:
    """Return one training step; steps are numbered, so that meta steps come as often as they do."""
    batch = trainer.train_images.batch(torch.arange(BATCH))
    number = 0

    def step() -> None:
        nonlocal number
        trainer._step(1, number, batch)
        number += 1

    return step


# -- the same work, written plainly


def released_step(  # noqa: PLR0915 - plain, and in one piece, like what it stands for
    trainer: Trainer, number: list[int], meta_every: int
) -> Callable[[], None]:
    """A CAAT step built as the released code builds it.

    Per inner step three forward and two backward passes (the clean one again and again, with
    gradients into the parameters), and a meta step by double backward through a second model.
    """
    model, optimizer = trainer.model, trainer.optimizer
    network = nn.Sequential(nn.Linear(6, 100), nn.ReLU(), nn.Linear(100, 2), nn.Softmax(dim=1))
    adam = torch.optim.Adam(network.parameters(), lr=1e-4)
    batch = trainer.train_images.batch(torch.arange(BATCH))
    meta = trainer.learner.meta

    def copies(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        model.eval()
        x_adv, x_anti = (x + 0.001 * torch.randn_like(x) for _ in range(2))
        for _ in range(STEPS):
            x_adv, x_anti = x_adv.detach().requires_grad_(), x_anti.detach().requires_grad_()
            kl = F.kl_div(model(x_adv).log_softmax(1), model(x).softmax(1), reduction="sum")
            (up,) = torch.autograd.grad(kl, x_adv)
            (down,) = torch.autograd.grad(F.cross_entropy(model(x_anti), y), x_anti)
            x_adv = torch.min(torch.max(x_adv + EPSILON / 4 * up.sign(), x - EPSILON), x + EPSILON)
            x_anti = torch.min(
                torch.max(x_anti - EPSILON / 4 * down.sign(), x - EPSILON), x + EPSILON
            )
            x_adv, x_anti = x_adv.clamp(0, 1), x_anti.clamp(0, 1)
        model.train()
        return x_adv.detach(), x_anti.detach()

    def losses(
        predict: Callable[[Tensor], Tensor], b: Batch, moved: tuple[Tensor, Tensor]
    ) -> Tensor:
        logits = predict(b.x)
        clean = F.cross_entropy(logits, b.y, reduction="none")
        kl = F.kl_div(predict(moved[0]).log_softmax(1), logits.softmax(1), reduction="none").sum(1)
        anti = F.cross_entropy(predict(moved[1]), b.y, reduction="none")
        return torch.stack([clean, kl, anti], dim=1)

    def weigh() -> Tensor:
        with torch.no_grad():
            p = model(batch.x).softmax(1)
        alpha = network(torch.cat([p, p], dim=1)[:, :6])
        return torch.stack([alpha[:, 0], 1.5 * alpha[:, 0], alpha[:, 1]], dim=1)

    def step() -> None:
        moved = copies(batch.x, batch.y)
        if number[0] % meta_every == 0:
            pseudo = copy.deepcopy(model)
            parameters = dict(pseudo.named_parameters())
            loss = (weigh() * losses(pseudo, batch, moved)).sum(1).mean()
            gradients = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
            landed = {
                name: value - 0.05 * gradient
                for (name, value), gradient in zip(parameters.items(), gradients, strict=True)
            }
            small = Batch(meta.x[:BATCH], meta.y[:BATCH], meta.index[:BATCH])
            meta_losses = losses(
                lambda x: functional_call(pseudo, landed, (x,)), small, copies(small.x, small.y)
            )
            adam.zero_grad()
            meta_losses.sum(1).mean().backward()
            adam.step()
        number[0] += 1
        loss = (weigh().detach() * losses(model, batch, moved)).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def floor_of(trainer: Trainer) -> Callable[[], None]:
    """The bare passes of a TRADES step: one clean pass, ten attack steps, one training step."""
    model, optimizer = trainer.model, trainer.optimizer
    batch = trainer.train_images.batch(torch.arange(BATCH))

    def step() -> None:
        model.eval()
        with torch.no_grad():
            model(batch.x)
        x = batch.x
        for _ in range(STEPS):
            x = x.detach().requires_grad_()
            torch.autograd.grad(model(x).sum(), x)
        model.train()
        optimizer.zero_grad()
        (model(batch.x).sum() + model(x.detach()).sum()).backward()
        optimizer.step()

    return step


def plain_attack(trainer: Trainer) -> Callable[[], None]:
    """PGD as it is often written: the loss's gradient goes into every parameter too."""
    model = trainer.model.eval()
    batch = trainer.train_images.batch(torch.arange(BATCH))

    def attack() -> None:
        x_adv = batch.x + torch.empty_like(batch.x).uniform_(-EPSILON, EPSILON)
        for _ in range(STEPS):
            x_adv = x_adv.detach().requires_grad_()
            F.cross_entropy(model(x_adv), batch.y).backward()
            delta = (x_adv + EPSILON / 4 * x_adv.grad.sign() - batch.x).clamp(-EPSILON, EPSILON)
            x_adv = (batch.x + delta).clamp(0, 1)

    return attack


def our_attack(trainer: Trainer) -> Callable[[], None]:
    batch = trainer.train_images.batch(torch.arange(BATCH))
    bound = torch.full((BATCH,), EPSILON)
    objective = trainer.method.objective

    return lambda: trainer.attack(batch, None, bound, objective) and None


# -- measuring


def seconds(work: Callable[[], None], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times


def compare(
    name: str, one: Callable[[], None], other: Callable[[], None], pairs: int, times: int
) -> None:
    """Print how many times as long the first takes as the second."""
    one(), other()  # caches and lazy state
    ratios = [seconds(one, times) / seconds(other, times) for _ in range(pairs)]
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"{name:58} {low:6.2f} {middle:6.2f} {high:6.2f}", flush=True)


def main() -> None:
    """Print every ratio for one backbone."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--pairs", type=int, default=8)
    options.add_argument("--times", type=int, default=4, help="steps per measurement")
    options.add_argument("--backbone", default="small-cnn")
    options.add_argument("--threads", type=int, default=1)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.set_flush_denormal(True)
    backbone = {"name": chosen.backbone, "width": 16}
    print(f"{chosen.backbone}, width 16, batch {BATCH}, {STEPS} inner steps, "
          f"{chosen.threads} threads, torch {torch.__version__}, {chosen.pairs} pairs")  # fmt: skip
    print(f"{'ratio of':58} {'min':>6} {'median':>6} {'max':>6}")

    def caat(**knobs: object) -> Callable[[], None]:
        return step_of(trainer_of(backbone, {"name": "caat", "bounds": "fixed", **knobs}))

    def trades() -> Callable[[], None]:
        return step_of(trainer_of(backbone, {"name": "trades"}))

    def released(meta_every: int) -> Callable[[], None]:
        number = [0 if meta_every == 1 else 1]  # a meta step every 50 is left out of few steps
        return released_step(trainer_of(backbone, {"name": "caat"}), number, meta_every)

    pgd_at = {"name": "pgd-at"}
    measured = [
        ("released structure / caat both, k = 50", released(50), caat(meta_every=50)),
        (
            "released structure / caat sampled, k = 50",
            released(50),
            caat(meta_every=50, copies="sampled"),
        ),
        (
            "released structure / caat sampled, both k = 1",
            released(1),
            caat(meta_every=1, copies="sampled"),
        ),
        ("caat both, k = 50 / trades", caat(meta_every=50), trades()),
        ("caat sampled, k = 50 / trades", caat(meta_every=50, copies="sampled"), trades()),
        ("caat sampled, k = 4 / trades", caat(meta_every=4, copies="sampled"), trades()),
        ("caat sampled, k = 1 / trades", caat(meta_every=1, copies="sampled"), trades()),
        ("trades / its bare passes", trades(), floor_of(trainer_of(backbone, {"name": "trades"}))),
        (
            "plain PGD / our PGD",
            plain_attack(trainer_of(backbone, pgd_at)),
            our_attack(trainer_of(backbone, pgd_at)),
        ),
    ]
    for name, one, other in measured:
        compare(name, one, other, chosen.pairs, chosen.times)


if __name__ == "__main__":
    main()
