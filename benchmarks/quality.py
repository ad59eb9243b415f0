"""Does CAAT learn which sample gets what, and does it pay? Runs, ablations and a page of results.

    python benchmarks/quality.py [--seeds 3] [--scenarios noise imbalance standard]

Every run is kept in a file of its own, so that an interrupted call goes on where it was;
docs/results/quality.md is written anew from all of them. The reference of confident learning is
cleanlab's (pip install cleanlab; Northcutt, Jiang, Chuang 2021).
"""

import argparse
import json
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# This folder is first on the path, and its engine.py is called like the package.
sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).parent]

import numpy as np
import torch
from cleanlab.rank import get_label_quality_scores
from sklearn.metrics import roc_auc_score
from torch import Tensor

from engine.data.preparation import prepare
from engine.meta.characteristics import NAMES, Characteristics
from engine.methods.base import Learner
from engine.methods.caat.config import CaatConfig
from engine.methods.caat.corrected import Caat
from engine.models.modes import eval_mode
from engine.runtime import configure, versions
from engine.scenario import Scenario
from engine.training.trainer import Trainer

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results" / "quality.md"
VERDICT = "## What follows"
"""The part of the page that a person writes, below the tables; it is kept."""
EPOCHS, TRAIN, EPSILON, BATCH = 10, 4000, 0.1, 128

SCENARIOS: dict[str, tuple[str, dict[str, Any]]] = {
    "noise": ("20 % pair noise", {"train_size": TRAIN, "noise": {"kind": "pair", "ratio": 0.2}}),
    "imbalance": ("Imbalance 10", {"train_size": 2 * TRAIN, "imbalance": {"factor": 10}}),
    "standard": ("Clean and balanced", {"train_size": TRAIN}),
}


# -- the ablations: the same method with one thing taken away


def shuffle(method: Caat) -> None:
    """Learn the weights, and then deal them to other samples of the batch."""
    alpha_of = method._alpha

    def dealt(characteristics: Characteristics) -> Tensor:
        alpha = alpha_of(characteristics)
        if torch.is_grad_enabled():
            return alpha  # learning sees whose weight it was
        return alpha[torch.randperm(len(alpha), generator=method.learner.attack.rng)]

    method._alpha = dealt


def freeze(method: Caat) -> None:
    """Leave the weighting network as it was made."""
    method.learn = lambda step: False


def only_adversaries(method: Caat) -> None:
    """Train every sample on its adversary."""
    freeze(method)
    method._alpha = lambda characteristics: torch.ones_like(characteristics.loss)


class Ablated(CaatConfig):
    """CAAT's fields, and which part is taken away."""

    kind: str

    def build(self, learner: Learner) -> Caat:
        method = super().build(learner)
        takes = {"shuffled": shuffle, "frozen": freeze, "all-adversary": only_adversaries}
        takes[self.kind](method)
        return method


VARIANTS = {
    "caat": "`caat`, its defaults",
    "caat-fast": "`caat`, sampled copies, a light meta step every batch",
    "shuffled": "its weights dealt to other samples",
    "frozen": "its network frozen as made",
    "all-adversary": "all adversaries",
    "trades": "`trades`, beta 6",
}


FAST = {"copies": "sampled", "meta_every": 1, "meta_batch_size": 64, "meta_num_steps": 3}


def scenario_of(data: dict[str, Any], variant: str, seed: int) -> Scenario:
    ablated = variant in ("shuffled", "frozen", "all-adversary")
    name = "caat" if ablated or variant == "caat-fast" else variant
    scenario = Scenario.model_validate(
        {
            "seed": seed,
            "data": {"dataset": "fashion-mnist", **data},
            "threat": {"epsilon": EPSILON},
            "model": {"backbone": "small-cnn"},
            "method": {"name": name, **(FAST if variant == "caat-fast" else {})},
            "training": {"epochs": EPOCHS, "batch_size": BATCH},
        }
    )
    return scenario.model_copy(update={"method": Ablated(kind=variant)}) if ablated else scenario


# -- one run


class Silent:
    def on_progress(self, progress: object) -> None: ...

    def should_stop(self) -> bool:
        return False


def measure(data_fields: dict[str, Any], variant: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train one variant and return its errors and what its weights say of the labels."""
    began = time.perf_counter()
    scenario = scenario_of(data_fields, variant, seed)
    device = torch.device("cpu")
    configure(device, 1)
    data = prepare(scenario.data, seed, folder)
    trainer = Trainer(scenario, data, Silent(), device=device)
    for epoch in range(1, EPOCHS + 1):
        report = trainer.run_epoch(epoch)
    test = trainer.test(EPOCHS).test
    flipped = data.train.labels != data.train.true_labels
    found: dict[str, Any] = {"num_train": len(data.train)}
    for name, wrong in test.errors().items():
        found[name] = float(wrong.sum() / test.count.sum())
        found[f"worst_{name}"] = float((wrong / test.count).max())
        found[f"gap_{name}"] = float((wrong / test.count).max() - (wrong / test.count).min())
    if flipped.any():
        found |= labels_found(trainer, flipped, report.measures)
    if isinstance(trainer.policy, Caat):
        found |= network_moved(trainer, report.snapshot.columns, flipped)
        found |= {n: v for n, v in report.measures.items() if n.startswith("importance_")}
        found["saturation_share"] = report.measures.get("saturation_share")
    return found | {"seconds": time.perf_counter() - began}


def labels_found(trainer: Trainer, flipped: Any, measures: dict[str, float]) -> dict[str, float]:
    """Return ROC AUCs of finding the flipped labels, by the weight and by two references."""
    images = trainer.train_images
    with torch.no_grad(), eval_mode(trainer.model):
        pieces = torch.arange(len(images)).split(1000)
        p = torch.cat([trainer.model(images.batch(i).x).softmax(1) for i in pieces]).numpy()
    labels = trainer.data.train.labels
    quality = {
        "confident learning": get_label_quality_scores(
            labels, p, method="normalized_margin", adjust_pred_probs=True
        ),
        "loss of the last model": p[np.arange(len(labels)), labels],
    }
    found = {f"auc {name}": roc_auc_score(flipped, -score) for name, score in quality.items()}
    if "flipped_auc" in measures:
        found["auc weight"] = measures["flipped_auc"]
        found["auc loss in training"] = measures["flipped_auc_loss"]
    return found


def network_moved(trainer: Trainer, columns: dict[str, Any], flipped: Any) -> dict[str, float]:
    """Compare the learned network with itself as it was made, on the last characteristics."""
    made = CaatConfig().build(trainer.learner).network
    traits = torch.stack([torch.from_numpy(columns[name]) for name in NAMES], dim=1)
    with torch.no_grad():
        now, then = (net(traits)[:, 1].numpy() for net in (trainer.policy.network, made))
    moved = {
        "anti weight, learned": float(now.mean()),
        "anti weight, as made": float(then.mean()),
        "mean change of the weight": float(np.abs(now - then).mean()),
    }
    if flipped.any():
        moved["auc network as made"] = roc_auc_score(flipped, then)
    return moved


# -- the page


def spread(values: list[float], *, percent: bool = False) -> str:
    """Return mean and standard deviation over the seeds."""
    values = [100 * value for value in values] if percent else values
    deviation = statistics.stdev(values) if len(values) > 1 else float("nan")
    digits = 1 if percent else 3
    return f"{statistics.mean(values):.{digits}f} +- {deviation:.{digits}f}"


def table(runs: dict[str, list[dict[str, Any]]]) -> list[str]:
    measures = ("natural_error", "boundary_error", "robust_error")
    head = [f"{word} {name.split('_')[0]}" for name in measures for word in ("avg", "worst")]
    lines = ["| | " + " | ".join(head) + " |", "| --- |" + " --- |" * len(head)]
    for variant, words in VARIANTS.items():
        done = runs.get(variant, [])
        if done:
            keys = [key for name in measures for key in (name, f"worst_{name}")]
            cells = [spread([run[key] for run in done], percent=True) for key in keys]
            lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return lines


def differences(runs: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Say seed by seed where `caat` stands against each of the others."""
    lines = ["", "`caat` minus each, in points, seed by seed (below zero: `caat` errs less):", ""]
    keys = ("natural_error", "robust_error", "worst_natural_error", "worst_robust_error")
    lines += ["| against | natural | robust | worst natural | worst robust |"]
    lines += ["| --- |" + " --- |" * len(keys)]
    for variant in list(VARIANTS)[1:]:
        if runs.get(variant):
            pairs = list(zip(runs["caat"], runs[variant], strict=False))
            cells = [spread([one[k] - two[k] for one, two in pairs], percent=True) for k in keys]
            lines.append(f"| {VARIANTS[variant]} | " + " | ".join(cells) + " |")
    return lines


def aucs(runs: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Say how well the flipped labels are found, and what the weights depend on."""
    caat = runs.get("caat", [])
    names = [name for name in caat[0] if name.startswith("auc ")] if caat else []
    if not names:
        return []
    lines = ["", "Finding the flipped labels, ROC AUC, in the runs of `caat`:", ""]
    lines += ["| by | AUC |", "| --- | --- |"]
    lines += [f"| {name[4:]} | {spread([run[name] for run in caat])} |" for name in names]
    return lines


def moved(runs: dict[str, list[dict[str, Any]]]) -> list[str]:
    caat = runs.get("caat", [])
    if not caat:
        return []
    words = ("anti weight, learned", "anti weight, as made", "mean change of the weight",
             "saturation_share", *(f"importance_{name}" for name in NAMES))  # fmt: skip
    lines = ["", "What the weighting network learned, over the training samples:", ""]
    lines += ["| | |", "| --- | --- |"]
    named = [
        (name, name.replace("importance_", "importance of ").replace("_", " ")) for name in words
    ]
    return lines + [f"| {said} | {spread([run[name] for run in caat])} |" for name, said in named]


def write_page(folder: Path, seeds: int) -> None:
    """Write the document from every run that is there."""
    said = ", ".join(f"{name} {number}" for name, number in versions().items())
    lines = [
        "# Does CAAT learn which sample gets what, and does it pay?",
        "",
        f"Fashion-MNIST, small-cnn, l-inf epsilon {EPSILON}, {EPOCHS} epochs of batches of {BATCH},"
        f" {seeds} seeds: mean +- standard deviation over the seeds, errors in %. Test: all 10,000"
        " test images, PGD-20 on the cross-entropy, step epsilon / 4, one uniform start, batch norm"
        " in eval mode, last epoch. Every variant sees the same samples, labels and first weights.",
        "",
        f"    python benchmarks/quality.py --seeds {seeds}",
        "",
        f"Made on {datetime.now(UTC).date()} with {said}. Small networks, few epochs and few"
        " samples: this says what the method does here, not what it does at the paper's size.",
    ]
    for name, (title, _) in SCENARIOS.items():
        runs = {
            variant: [
                json.loads(file.read_text())
                for file in sorted(folder.glob(f"{name}-{variant}-[0-9]*.json"))
            ]
            for variant in VARIANTS
        }
        if runs["caat"]:
            size = runs["caat"][0]["num_train"]
            lines += ["", f"## {title} ({size:,} training images)", "", *table(runs)]
            lines += differences(runs) + aucs(runs) + moved(runs)
    before = PAGE.read_text() if PAGE.exists() else ""
    verdict = VERDICT + before.partition(VERDICT)[2] if VERDICT in before else ""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(lines) + "\n\n" + verdict)


def main() -> None:
    """Run what is missing, then write the page."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    options.add_argument("--runs", type=Path, default=ROOT / "benchmarks" / "runs" / "quality")
    options.add_argument("--data", type=Path, default=Path.home() / ".caat-studio" / "datasets")
    chosen = options.parse_args()
    chosen.runs.mkdir(parents=True, exist_ok=True)
    for seed in range(chosen.seeds):
        for name in chosen.scenarios:
            for variant in VARIANTS:
                file = chosen.runs / f"{name}-{variant}-{seed}.json"
                if not file.exists():
                    found = measure(SCENARIOS[name][1], variant, seed, chosen.data)
                    file.write_text(json.dumps(found, indent=1))
                    print(f"{file.stem}: {found['seconds']:.0f} s", flush=True)
    write_page(chosen.runs, chosen.seeds)
    print(PAGE)


if __name__ == "__main__":
    main()
