"""Every method at its best setting, found without the test images, under one protocol.

    python benchmarks/method.py search [--scenarios NAME ...] [--rows NAME ...]
    python benchmarks/method.py final  [--scenarios NAME ...] [--rows NAME ...] [--found-at NAME]
    python benchmarks/method.py ablate [--scenarios NAME ...]
    python benchmarks/method.py page

`search` trains each row at as many settings as every other, on seeds of its own, and looks at a
fourth split: training images that no run trains on, learns from or steers by. `final` trains what
`search` found best on five fresh seeds, and opens the 10,000 test images once. Every run is a line
of docs/results/method.jsonl, so that a call goes on where one was broken off, and
docs/results/method.md is written from that file.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

# This folder is first on the path, and its engine.py is called like the package.
HERE = Path(__file__).resolve().parent
sys.path = [str(HERE.parent), *(entry for entry in sys.path if Path(entry).resolve() != HERE)]

import torch

from benchmarks.method_found import RUNS, chosen, stored
from benchmarks.method_page import write_found, write_page
from benchmarks.method_settings import (
    ABLATIONS,
    BATCH,
    EPOCHS,
    EPSILON,
    FINAL_SEEDS,
    SCENARIOS,
    SEARCH_PER_CLASS,
    SEARCH_SEEDS,
    SETTINGS,
    Setting,
)
from benchmarks.method_transfer import transferred
from engine.new_scenario import new_scenario
from engine.runtime import configure
from engine.scenario import Scenario
from engine.training.trainer import Trainer


class Silent:
    """Nobody watches."""

    def on_progress(self, progress: object) -> None: ...

    def should_stop(self) -> bool:
        return False


# -- one run


def scenario_of(run: dict[str, Any]) -> Scenario:
    data = {"dataset": "fashion-mnist", **SCENARIOS[run["scenario"]][1]}
    if run["stage"] == "search":
        data["search_per_class"] = SEARCH_PER_CLASS
    return new_scenario(
        {
            "seed": run["seed"],
            "data": data,
            "threat": {"epsilon": EPSILON},
            "model": {"backbone": "small-cnn"},
            "method": {"name": run["method"], **run["fields"]},
            "training": {"epochs": EPOCHS, "batch_size": BATCH, **run["training"]},
        }
    )


def measured(run: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train one run on one thread; return it with its errors."""
    device, began = torch.device("cpu"), time.process_time()
    configure(device, 1)
    scenario = scenario_of(run)
    data = scenario.prepared(folder)
    trainer = Trainer(scenario, data, Silent(), device=device)
    for epoch in range(1, EPOCHS + 1):
        report = trainer.run_epoch(epoch)
    test = trainer.test(EPOCHS).test
    errors = test.errors()
    found: dict[str, Any] = {}
    for name in ("natural_error", "robust_error"):
        found[name] = float(errors[name].sum() / test.count.sum())
        found[f"worst_{name}"] = float((errors[name] / test.count).max())
    if run["stage"] == "final":
        found["transfer"] = transferred(trainer.model, data.test, len(data.class_names))
    kept = ("flipped_auc", "policy_entropy", "anti_adversary_share")
    found |= {name: report.measures[name] for name in kept if name in report.measures}
    return {**run, "found": found, "cpu_seconds": round(time.process_time() - began, 1)}


# -- which runs there are


def key(run: dict[str, Any]) -> str:
    """Name a run by what it does."""
    parts = ("stage", "scenario", "method", "fields", "training", "seed")
    return json.dumps([run[part] for part in parts], sort_keys=True)


def _runs(stage: str, scenario: str, row: str, settings: list[Setting]) -> Iterator[dict[str, Any]]:
    for seed in SEARCH_SEEDS if stage == "search" else FINAL_SEEDS:
        for fields, training in settings:
            named = {"stage": stage, "scenario": scenario, "row": row, "method": SETTINGS[row][0]}
            yield {**named, "seed": seed, "fields": fields, "training": training}


def search_runs(scenario: str, row: str) -> Iterator[dict[str, Any]]:
    return _runs("search", scenario, row, SETTINGS[row][1])


def final_runs(scenario: str, row: str, found_at: str) -> Iterator[dict[str, Any]]:
    """Yield a row's runs at the setting that was found best, here or in another scenario."""
    best = chosen(stored(), found_at, row)
    if best is None or best.tried < len(SETTINGS[row][1]):
        print(f"{found_at}, {row}: not every setting was searched; run `search` first")
        return
    for run in _runs("final", scenario, row, [(best.fields, best.training)]):
        yield run if found_at == scenario else {**run, "found_at": found_at}


def ablation_runs(scenario: str) -> Iterator[dict[str, Any]]:
    best = chosen(stored(), scenario, "caat-weighted")
    if best is None:
        print(f"{scenario}, caat-weighted: run `search` first")
        return
    for row, change in ABLATIONS.items():
        fields = {k: v for k, v in {**best.fields, **change}.items() if v is not None}
        for run in _runs("final", scenario, "caat-weighted", [(fields, best.training)]):
            yield {**run, "row": row}


# -- all of it


def asked(scenario: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield every run of a stage in one scenario."""
    if options.stage == "ablate":
        yield from ablation_runs(scenario)
        return
    for row in options.rows:
        if options.stage == "search":
            yield from search_runs(scenario, row)
        else:
            yield from final_runs(scenario, row, options.found_at or scenario)


def main() -> None:
    """Run what is missing of a stage, then write the page."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("stage", choices=["search", "final", "ablate", "page"])
    options.add_argument("--found-at", choices=SCENARIOS, help="final: the scenario searched")
    options.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    options.add_argument("--rows", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--data", type=Path, default=Path.home() / ".caat-studio" / "datasets")
    options = options.parse_args()
    if options.stage != "page":
        done = {key(run) for run in stored()}
        every = (run for scenario in options.scenarios for run in asked(scenario, options))
        wanted = [run for run in every if key(run) not in done]
        with ProcessPoolExecutor(options.processes) as pool, RUNS.open("a") as file:
            for run in pool.map(measured, wanted, [options.data] * len(wanted)):
                file.write(json.dumps(run) + "\n")
                file.flush()
                print(run["scenario"], run["row"], run["seed"], run["found"], flush=True)
    write_page()
    write_found()


if __name__ == "__main__":
    main()
