"""What do our averages of weights and our FAAL change? Each beside the rule that it replaced.

    python benchmarks/corrections.py [--only average faal] [--seeds 2] [--quick]

Fashion-MNIST, small-cnn, l-inf epsilon 0.1, batches of 128. The averages compared are all of one
run, as they do not touch what is trained. Prints the tables of docs/methods.md, errors in %, mean ±
standard deviation over the seeds; `--quick` is one seed of few images, to see that all works.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# This folder is first on the path, and its engine.py is called like the package.
sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).parent]

from torch import nn

from benchmarks.training import cells, tested, train, trainer_of
from engine.evaluation.evaluate import Evaluation
from engine.evaluation.statistics import spread
from engine.methods.base import Learner, Step
from engine.methods.faal import Faal, FaalConfig, margins_by_class, worst_distribution
from engine.models.ema import WeightAverage

DECAY = 0.999
METHODS = ("pgd-at", "trades")


def scenario(seed: int, epochs: int, **sections: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that both questions share, and the sections of one."""
    return {
        "seed": seed,
        "threat": {"epsilon": 0.1, "num_steps": 5},
        "model": {"backbone": "small-cnn"},
        "training": {"epochs": epochs, "batch_size": 128},
        "evaluation": {"num_steps": 10, "val_num_steps": 1},
        **sections,
    }


# -- averages of the weights over steps


class BiasCorrected(WeightAverage):
    """The exact mean of the models with weights d^age: the first counts no more than it should."""

    def __init__(self, decay: float) -> None:
        super().__init__(decay)
        self.limit, self.joined = decay, 0

    def update(self, model: nn.Module) -> None:
        self.joined += 1
        self.decay = 1 - (1 - self.limit) / (1 - self.limit**self.joined)
        super().update(model)


AVERAGES: dict[str, Callable[[], WeightAverage]] = {
    "full decay from the first step": lambda: WeightAverage(DECAY),
    "exact bias correction": lambda: BiasCorrected(DECAY),
    "min(decay, (1 + n) / (10 + n)), ours": lambda: WeightAverage(DECAY, warms_up=True),
}


def averaged(method: str, seed: int, *, quick: bool) -> dict[str, tuple[float, float]]:
    """Return natural and robust error of one run's last weights and of their averages."""
    data = {"dataset": "fashion-mnist", "train_size": 512 if quick else 5120, "test_size": 1000}
    fields = scenario(seed, 2 if quick else 6, data=data, method={"name": method})
    trainer = trainer_of(fields)
    averages = {name: make() for name, make in AVERAGES.items()}

    def join(*_: object) -> None:
        for average in averages.values():
            average.update(trainer.model)

    trainer.optimizer.register_step_post_hook(join)
    train(trainer)
    found = {"none": errors(tested(trainer))}
    for name, average in averages.items():
        trainer.average = average
        found[name] = errors(tested(trainer))
    return found


def errors(test: Evaluation) -> tuple[float, float]:
    return percent(test)[0], percent(test)[2]


def percent(test: Evaluation) -> tuple[float, float, float, float]:
    """Return natural error, average and of the worst class, and robust error likewise."""
    natural, robust = spread(test.natural, test.count), spread(test.robust, test.count)
    return 100 * natural.average, 100 * natural.worst, 100 * robust.average, 100 * robust.worst


def print_averages(seeds: int, *, quick: bool) -> None:
    columns = " | ".join(
        f"{method}, {kind}" for method in METHODS for kind in ("natural", "robust")
    )
    print(f"| average of the weights | {columns} |")
    print("|---|" + "---|" * 2 * len(METHODS))
    runs = [[averaged(method, seed, quick=quick) for method in METHODS] for seed in range(seeds)]
    for name in ("none", *AVERAGES):
        rows = [sum((found[name] for found in run), ()) for run in runs]
        print(f"| {name} | {cells(rows, (1, 1, 1, 1))} |")


# -- FAAL's distribution over classes


class Released(Faal):
    """FAAL as released: a class's margins are summed, so that one without samples has 0."""

    def __init__(self, config: FaalConfig, learner: Learner) -> None:
        super().__init__(config, learner)
        self.absent: list[float] = []

    def learn(self, step: Step) -> bool:
        assert step.adversary_logits is not None
        if not self._weighs:
            return False
        total, count = margins_by_class(step.adversary_logits, step.batch.y)
        worst = worst_distribution(total, self.config.tau)
        self.absent.append(float(worst[count == 0].sum()))
        self.weights = (len(worst) * worst).to(self.weights)
        return True


class ReleasedConfig(FaalConfig):
    def build(self, learner: Learner) -> Released:
        return Released(self, learner)


RULES: dict[str, type[FaalConfig]] = {
    "sums over all classes, as released": ReleasedConfig,
    "means over the classes that are there, ours": FaalConfig,
}


def weighed(rule: type[FaalConfig], seed: int, *, quick: bool) -> tuple[float, ...]:
    """Return the four errors, the share of p on absent classes and the mean weight of a sample."""
    data = {
        "dataset": "fashion-mnist",
        "train_size": 2000 if quick else 8000,  # before the imbalance
        "test_size": 1000,
        "imbalance": {"factor": 50},
    }
    trainer = trainer_of(scenario(seed, 2 if quick else 10, data=data), rule())
    weights = [report.measures["adversary_weight"] for report in train(trainer)]
    absent = trainer.policy.absent if isinstance(trainer.policy, Released) else [0.0]
    weight = statistics.mean(weights[len(weights) // 2 :])  # FAAL begins in the middle
    return *percent(tested(trainer)), 100 * statistics.mean(absent), weight


def print_faal(seeds: int, *, quick: bool) -> None:
    columns = "natural | natural, worst class | robust | robust, worst class"
    print(f"| margins of FAAL | {columns} | p of absent classes | mean weight |")
    print("|---|" + "---|" * 6)
    for name, rule in RULES.items():
        runs = [weighed(rule, seed, quick=quick) for seed in range(seeds)]
        print(f"| {name} | {cells(runs, (1, 1, 1, 1, 0, 2))} |", flush=True)


def main() -> None:
    parts = {"average": print_averages, "faal": print_faal}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    for name in chosen.only:
        parts[name](1 if chosen.quick else chosen.seeds, quick=chosen.quick)
        print(flush=True)


if __name__ == "__main__":
    main()
