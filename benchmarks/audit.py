"""Both protocols side by side: pixels, and the evaluation that CAAT was released with.

    python benchmarks/audit.py [--epochs 10] [--seeds 1]

Trains each method on a part of Fashion-MNIST with the same budget, then measures every model four
ways: PGD-20 at 8/255 in pixels; the same at the radius that the released protocol has in pixels;
the released protocol's clip without any attack; and the released protocol whole. Everything is in
CAAT_DATA_DIR (a new folder unless set) and can be looked at with `caat dashboard` afterwards. The
table of docs/results/audit.md is what this prints.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

# A benchmark beside this file is called like the package, and its folder is first on the path.
sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).parent]

import numpy as np
import torch

from db.evaluations import outcomes
from db.models import FINAL
from db.reads import queries
from engine.evaluation.evaluate import Outcomes
from engine.evaluation.released import RELEASED
from engine.evaluation.statistics import class_counts, holm, mcnemar, spread
from engine.models.modes import eval_mode
from engine.perturbation.spaces import NormalisedSpace
from tasks.results.trained import Trained, load_trained
from tasks.settings import open_database

HERE = Path(__file__).parent
METHODS = {
    "standard": {"method.name": "standard"},
    "PGD-AT": {"method.name": "pgd-at"},
    "TRADES": {"method.name": "trades"},
    "CAAT, corrected": {"method.name": "caat"},
    "CAAT, as released": {"method.name": "caat", "method.protocol": "as-released"},
}

HEAD = (
    "| trained by | natural | pixels, 8/255 | pixels, released radius | released clip alone "
    "| as released |\n|---|---|---|---|---|---|"
)
BASELINE, AUDITED = "TRADES", "CAAT, as released"


@dataclass(frozen=True)
class Measured:
    """One model's errors as shares of 1, each (average, worst class).

    Attributes:
        natural: Without attack or clip.
        pixel: PGD-20 at 8/255.
        narrow: PGD-20 at the released radius in pixels.
        clipped: Normalised images clipped to [0, 1], no attack.
        released: The released protocol.
    """

    natural: tuple[float, float]
    pixel: tuple[float, float]
    narrow: tuple[float, float]
    clipped: tuple[float, float]
    released: tuple[float, float]


def caat(*words: str) -> dict[str, Any]:
    """Run a command of the command line and return what it prints."""
    command = [sys.executable, "-m", "app.cli.main", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def train(changes: dict[str, object]) -> str:
    """Train the audit's scenario with changes and return the run's id."""
    words = [word for path, value in changes.items() for word in ("--set", f"{path}={value}")]
    return str(caat("run", str(HERE / "audit.toml"), *words)["run_id"])


def measure(run_id: str) -> Measured:
    both = caat("evaluate", run_id, "--protocol", "as-released")
    trained = load_trained(open_database(), run_id)
    narrow = caat("evaluate", run_id, "--epsilon", str(radius_in_pixels(trained)))
    return Measured(
        natural=_pair(both["metrics"]["natural_error"]),
        pixel=_pair(both["metrics"]["robust_error"]),
        narrow=_pair(narrow["metrics"]["robust_error"]),
        clipped=clip_alone(trained),
        released=_pair(both["as_released"]["metrics"]["robust_error"]),
    )


def _pair(error: dict[str, float]) -> tuple[float, float]:
    return error["average"], error["worst"]


def radius_in_pixels(trained: Trained) -> float:
    """Return how far the released radius moves a pixel; the data have one channel."""
    return RELEASED.epsilon * float(trained.model.std)


@torch.no_grad()
def clip_alone(trained: Trained) -> tuple[float, float]:
    """Return the errors on images that are only clipped as the released protocol clips them."""
    images, size = trained.data.test, len(trained.data.class_names)
    space = NormalisedSpace(trained.model)
    with eval_mode(trained.model):
        x = space.enter(images.to(trained.device).batch(torch.arange(len(images))).x)
        said = space(x.clamp(0, 1)).argmax(dim=1).cpu().numpy()
    wrong = Outcomes(images.labels, said, said).natural
    found = spread(class_counts(images.labels[wrong], size), class_counts(images.labels, size))
    return found.average, found.worst


@torch.no_grad()
def crushed_share(trained: Trained) -> float:
    """Return the share of test pixels that the clip moves by more than the radius."""
    images = trained.data.test
    x = trained.model.normalised(torch.from_numpy(images.images).float() / 255)
    return float(((x - x.clamp(0, 1)).abs() > RELEASED.epsilon).float().mean())


def paired(run_id: str, other_id: str) -> str:
    """Compare two runs' own tests, which are in pixels, class by class on the same images."""
    with open_database().read() as session:
        one, other = (outcomes(session, id_, FINAL) for id_ in (run_id, other_id))
        run = queries.get_run(session, run_id)
    assert one is not None
    assert other is not None
    assert run is not None
    names = (run.facts or {})["class_names"]
    wrong, other_wrong = (said["attacked"] != said["label"] for said in (one, other))
    p_values = holm(mcnemar(one["label"], wrong, other_wrong, num_classes=len(names)))
    gap = wrong.astype(int) - other_wrong
    worse = [
        name
        for index, name in enumerate(names)
        if p_values[index] < 0.05 and gap[one["label"] == index].sum() > 0
    ]
    return f"{len(worse)} of {len(names)} classes ({', '.join(worse)})"


def row(name: str, found: list[Measured]) -> str:
    """Return one method's line: means over seeds, average / worst class in percent."""
    cells = []
    for field in fields(Measured):
        average, worst = np.mean([getattr(one, field.name) for one in found], axis=0)
        cells.append(f"{100 * average:.1f} / {100 * worst:.1f}")
    return f"| {name} | {' | '.join(cells)} |"


def main(epochs: int, seeds: int) -> str:
    """Train, measure and return the table, with what it was made of."""
    lines, trained, first = [], None, {}
    for name, changes in METHODS.items():
        found = []
        for seed in range(seeds):
            run_id = train({**changes, "seed": seed, "training.epochs": epochs, "name": name})
            first.setdefault(name, run_id)
            found.append(measure(run_id))
            trained = load_trained(open_database(), run_id)
            print(row(name, found), file=sys.stderr)
        lines.append(row(name, found))
    assert trained is not None
    facts = (
        f"{seeds} seed(s), {epochs} epochs, {len(trained.data.train):,} training and "
        f"{len(trained.data.test):,} test images; the standard deviation of the training pixels "
        f"is {float(trained.model.std):.3f}, so the released radius is "
        f"{255 * radius_in_pixels(trained):.2f}/255 in pixels; its clip moves "
        f"{crushed_share(trained):.0%} of the test pixels by more than that. In pixels at 8/255 "
        f"{AUDITED} errs more often than {BASELINE} on {paired(first[AUDITED], first[BASELINE])}, "
        "by McNemar's test with Holm's correction at 0.05, first seed."
    )
    return "\n".join([facts, "", HEAD, *lines])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    if "CAAT_DATA_DIR" not in os.environ:
        os.environ["CAAT_DATA_DIR"] = tempfile.mkdtemp(prefix="caat-audit-")
    print(main(options.epochs, options.seeds))
