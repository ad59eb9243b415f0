"""A torchvision ResNet-18, trained by a stranger's script, audited by ``caat audit`` from its file.

Run it where torch and torchvision belong together; the suite's own pair may not::

    python -m venv /tmp/pair && /tmp/pair/bin/pip install torch torchvision '.[autoattack]'
    /tmp/pair/bin/python benchmarks/torchvision_audit.py docs/torchvision-audit.json autoattack 100

It trains on the bundled digits with nothing of this package, saves ``state_dict`` as such scripts
do, audits that file on the command line, and writes what was told.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from sklearn.datasets import load_digits

EPOCHS, BATCH, EPSILON = 3, 64, 16 / 255
MEAN, STD = 0.3, 0.37


def main() -> None:
    """Train, save, audit and write down."""
    out, attack, subset = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "resnet18.pt"
        trained = _train(file)
        told, seconds = _audit(file, Path(folder) / "data", attack, subset=subset)
    found = {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "training_seconds": round(trained, 1),
        "audit_seconds": round(seconds, 1),
        "status": told["status"],
        "card": told["evaluation_card"],
        "metrics": told["metrics"],
    }
    out.write_text(json.dumps(found, indent=1) + "\n")
    sys.stdout.write(f"{told['status']}: {out}\n")


def _train(file: Path) -> float:
    """Train as a stranger would: one step of FGSM a batch, normalised by hand, saved wrapped."""
    began = time.monotonic()
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    images = torch.tensor(x.reshape(-1, 1, 8, 8) / 16, dtype=torch.float32)
    labels = torch.tensor(y)
    kept = torch.tensor(np.random.default_rng(0).permutation(len(y))[:1400])
    model = torch.nn.DataParallel(torchvision.models.resnet18(num_classes=10))
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=5e-4)
    for _ in range(EPOCHS):
        for index in kept[torch.randperm(len(kept))].split(BATCH):
            batch = images[index].requires_grad_()
            loss = torch.nn.functional.cross_entropy(_seen(model, batch), labels[index])
            (gradient,) = torch.autograd.grad(loss, batch)
            moved = (batch + EPSILON * gradient.sign()).clamp(0, 1).detach()
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(_seen(model, moved), labels[index]).backward()
            optimizer.step()
    torch.save({"epoch": EPOCHS, "state_dict": model.state_dict()}, file)
    return time.monotonic() - began


def _seen(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    said: torch.Tensor = model(((x - MEAN) / STD).expand(-1, 3, -1, -1))
    return said


def _audit(file: Path, data_dir: Path, attack: str, *, subset: str) -> tuple[dict[str, Any], float]:
    words = [
        *("audit", str(file), "--backbone", "torchvision:resnet18", "--data", "digits"),
        *("--mean", str(MEAN), "--std", str(STD), "--subset", subset),
        *("--attack", attack, "--epsilon", "8/255", "--name", "a stranger's ResNet-18"),
    ]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "app.cli.main", *words, "--json"],
        env={**os.environ, "CAAT_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    told: dict[str, Any] = json.loads(done.stdout)
    return told, time.monotonic() - began


if __name__ == "__main__":
    main()
