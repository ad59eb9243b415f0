"""How fast is a training step? Ratios measured side by side in one run.

    python benchmarks/engine.py [--pairs 8] [--backbone small-cnn]
    python benchmarks/engine.py --profile      where the time of a step goes
    python benchmarks/engine.py --memory       peak memory of a step, each in a process of its own

Every line compares two ways of doing the same work on Fashion-MNIST's shapes (28 x 28, ten
classes), batch 128, 10 inner steps: min, median and max over pairs of their ratio. Pixels are
random: they cost what real ones cost. Single times on a busy machine mean nothing; ratios do.
ART is the adversarial-robustness-toolbox, which the development environment installs.
"""

import argparse
import copy
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# This file is called like the package it measures, and its folder is first on the path.
sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).parent]

import torch
import torch.nn.functional as F
from art.attacks.evasion import ProjectedGradientDescentPyTorch
from art.estimators.classification import PyTorchClassifier
from torch import Tensor, nn
from torch.func import functional_call
from torch.profiler import profile

from engine.data.preparation import Data
from engine.runtime import configure
from engine.scenario import Scenario
from engine.training.observer import Progress
from engine.training.trainer import Trainer
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


def trainer_of(
    backbone: dict[str, object], method: dict[str, object], **training: object
) -> Trainer:
    """Return a trainer whose steps can be taken one by one."""
    scenario = Scenario.model_validate(
        {
            "data": {"dataset": "fashion-mnist"},
            "model": backbone,
            "method": method,
            "threat": {"epsilon": EPSILON, "num_steps": STEPS},
            "training": {"batch_size": BATCH, **training},
        }
    )
    names = tuple(str(label) for label in range(CLASSES))
    data = Data(random_set(1024), random_set(512), random_set(256), random_set(256), names)
    trainer = Trainer(scenario, data, Silent(), device=torch.device("cpu"))
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


def torchattacks_style(trainer: Trainer) -> Callable[[], None]:
    """PGD as torchattacks writes it: a gradient for the input only, a new graph each step."""
    model, loss = trainer.model.eval(), nn.CrossEntropyLoss()
    batch = trainer.train_images.batch(torch.arange(BATCH))

    def attack() -> None:
        x_adv = batch.x + torch.empty_like(batch.x).uniform_(-EPSILON, EPSILON)
        x_adv = x_adv.clamp(0, 1).detach()
        for _ in range(STEPS):
            x_adv.requires_grad = True
            (grad,) = torch.autograd.grad(loss(model(x_adv), batch.y), x_adv)
            x_adv = x_adv.detach() + EPSILON / 4 * grad.sign()
            delta = torch.clamp(x_adv - batch.x, min=-EPSILON, max=EPSILON)
            x_adv = torch.clamp(batch.x + delta, min=0, max=1).detach()

    return attack


def art_attack(trainer: Trainer) -> Callable[[], None]:
    """PGD of the adversarial-robustness-toolbox, arrays in and out as it wants them."""
    batch = trainer.train_images.batch(torch.arange(BATCH))
    classifier = PyTorchClassifier(
        trainer.model.eval(),
        nn.CrossEntropyLoss(),
        input_shape=(1, 28, 28),
        nb_classes=CLASSES,
        clip_values=(0, 1),
        device_type="cpu",
    )
    attack = ProjectedGradientDescentPyTorch(
        classifier, norm="inf", eps=EPSILON, eps_step=EPSILON / 4, max_iter=STEPS,
        num_random_init=1, batch_size=BATCH, verbose=False,
    )  # fmt: skip
    x, y = batch.x.numpy(), F.one_hot(batch.y, CLASSES).numpy()
    return lambda: attack.generate(x, y) is None and None


def our_attack(trainer: Trainer) -> Callable[[], None]:
    batch = trainer.train_images.batch(torch.arange(BATCH))
    bound = torch.full((BATCH,), EPSILON)
    objective = trainer.method.objective

    return lambda: trainer.attack(batch, None, bound, objective=objective) and None


# -- measuring


def seconds(work: Callable[[], None], times: int) -> float:
    """Return the CPU seconds of one: on one thread, what another process does costs less noise."""
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times


def compare(
    name: str, one: Callable[[], None], other: Callable[[], None], pairs: int, times: int
) -> None:
    """Print how many times as long the first takes as the second."""
    one(), other()  # caches and lazy state
    ratios = [seconds(one, times) / seconds(other, times) for _ in range(pairs)]
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"{name:58} {low:6.2f} {middle:6.2f} {high:6.2f}", flush=True)


def kinds(backbone: dict[str, object]) -> dict[str, Callable[[], Callable[[], None]]]:
    """Return how each kind of work is made ready, by name."""
    fast = {"precision": "bf16", "channels_last": True}
    pgd_at = {"name": "pgd-at"}

    def caat(training: dict[str, object] | None = None, **knobs: object) -> Callable[[], None]:
        method = {"name": "caat", "bounds": "fixed", **knobs}
        return step_of(trainer_of(backbone, method, **(training or {})))

    def trades(**training: object) -> Callable[[], None]:
        return step_of(trainer_of(backbone, {"name": "trades"}, **training))

    def released(meta_every: int) -> Callable[[], None]:
        number = [0 if meta_every == 1 else 1]  # a meta step every 50 is left out of few steps
        return released_step(trainer_of(backbone, {"name": "caat"}), number, meta_every)

    light = {"meta_every": 1, "meta_batch_size": 64, "meta_num_steps": 3}
    return {
        "released structure, k = 50": lambda: released(50),
        "released structure, k = 1": lambda: released(1),
        "caat both, k = 50": lambda: caat(meta_every=50),
        "caat sampled, k = 50": lambda: caat(meta_every=50, copies="sampled"),
        "caat sampled, k = 4": lambda: caat(meta_every=4, copies="sampled"),
        "caat sampled, k = 1": lambda: caat(meta_every=1, copies="sampled"),
        "caat sampled, k = 1, light": lambda: caat(copies="sampled", **light),
        "caat sampled, k = 50, bf16": lambda: caat(fast, meta_every=50, copies="sampled"),
        "caat sampled, k = 50, channels last": lambda: caat(
            {"channels_last": True}, meta_every=50, copies="sampled"
        ),
        "trades": trades,
        "trades, bf16": lambda: trades(**fast),
        "bare passes": lambda: floor_of(trainer_of(backbone, {"name": "trades"})),
        "plain PGD": lambda: plain_attack(trainer_of(backbone, pgd_at)),
        "torchattacks-style PGD": lambda: torchattacks_style(trainer_of(backbone, pgd_at)),
        "ART's PGD": lambda: art_attack(trainer_of(backbone, pgd_at)),
        "our PGD": lambda: our_attack(trainer_of(backbone, pgd_at)),
    }


PAIRS = (
    ("released structure, k = 50", "caat both, k = 50"),
    ("released structure, k = 50", "caat sampled, k = 50"),
    ("released structure, k = 50", "caat sampled, k = 50, channels last"),
    ("released structure, k = 50", "caat sampled, k = 50, bf16"),
    ("released structure, k = 1", "caat sampled, k = 1"),
    ("caat both, k = 50", "trades"),
    ("caat sampled, k = 50", "trades"),
    ("caat sampled, k = 4", "trades"),
    ("caat sampled, k = 1", "trades"),
    ("caat sampled, k = 1, light", "trades"),
    ("trades", "trades, bf16"),
    ("trades", "bare passes"),
    ("plain PGD", "our PGD"),
    ("torchattacks-style PGD", "our PGD"),
    ("ART's PGD", "our PGD"),
)
REMEMBERED = (
    "trades",
    "caat sampled, k = 1",
    "caat both, k = 50",
    "released structure, k = 50",
    "released structure, k = 1",
)


def print_profile(work: Callable[[], None]) -> None:
    """Print the shares of a step's time by operation."""
    work()
    with profile() as watched:
        for _ in range(4):
            work()
    rows = [(row.self_cpu_time_total, row.key) for row in watched.key_averages()]
    total = sum(time for time, _ in rows)
    for time_spent, name in sorted(rows, reverse=True)[:12]:
        print(f"{name:50} {time_spent / total:6.1%}")


def peak_memory(name: str, options: list[str]) -> float:
    """Return the peak of a process that takes steps, above one that is ready to, in MiB."""
    command = [sys.executable, __file__, *options, "--remember", name]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    before, after = (float(word) for word in said.split())
    return (after - before) / 1024


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--times", type=int, default=4, help="steps per measurement")
    parser.add_argument("--backbone", default="small-cnn")
    parser.add_argument("--only", default="", help="pairs whose names contain this")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--remember", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Print every ratio for one backbone."""
    chosen = options()
    configure(torch.device("cpu"), 1)
    known = kinds({"name": chosen.backbone, "width": 16})
    if chosen.remember:
        work = known[chosen.remember]()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(3):
            work()
        print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    print(f"{chosen.backbone}, width 16, batch {BATCH}, {STEPS} inner steps, "
          f"one thread, torch {torch.__version__}, {chosen.pairs} pairs")  # fmt: skip
    if chosen.profile:
        print_profile(known["caat sampled, k = 4"]())
    elif chosen.memory:
        own = ["--backbone", chosen.backbone]
        peaks = {name: peak_memory(name, own) for name in REMEMBERED}
        for name, peak in peaks.items():
            print(f"{name:40} {peak:8.0f} MiB {peak / peaks['trades']:6.2f} x trades")
    else:
        print(f"{'ratio of':58} {'min':>6} {'median':>6} {'max':>6}")
        for one, other in PAIRS:
            if chosen.only in f"{one} / {other}":
                work = known[one](), known[other]()
                compare(f"{one} / {other}", *work, chosen.pairs, chosen.times)


if __name__ == "__main__":
    main()
