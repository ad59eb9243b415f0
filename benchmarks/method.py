"""Every method at its best setting, found without the test images, under one protocol.

    python benchmarks/method.py search [--scenarios NAME ...] [--methods NAME ...]
    python benchmarks/method.py final  [--scenarios NAME ...] [--methods NAME ...]
    python benchmarks/method.py page

`search` trains each method at as many settings as every other, on seeds of its own, and looks at a
fourth split: training images that no run trains on, learns from or steers by. `final` trains what
`search` found best on five fresh seeds, with and without the meta images among the training
images, and opens the 10,000 test images once. Every run is a line of docs/results/method.jsonl, so
that a call goes on where one was broken off; docs/results/method.md is written from that file.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

# This folder is first on the path, and its engine.py is called like the package.
HERE = Path(__file__).resolve().parent
sys.path = [str(HERE.parent), *(entry for entry in sys.path if Path(entry).resolve() != HERE)]

import numpy as np
import torch
from scipy import stats

from benchmarks.method_transfer import transferred
from engine.data.preparation import Data, prepare, shuffled_by_class
from engine.new_scenario import new_scenario
from engine.runtime import configure
from engine.scenario import Scenario
from engine.seeds import numpy_stream
from engine.training.trainer import Trainer

ROOT = HERE.parent
RUNS = ROOT / "docs" / "results" / "method.jsonl"
PAGE = RUNS.with_suffix(".md")
VERDICT = "## What follows"
"""The part of the page that a person writes, below the tables; it is kept."""
SEARCH_SEEDS, FINAL_SEEDS = (100,), (0, 1, 2, 3, 4)
SEARCH_PER_CLASS = 400
EPOCHS, EPSILON, BATCH = 10, 0.1, 128
TRAIN = 4000

SCENARIOS: dict[str, tuple[str, dict[str, Any]]] = {
    "imbalance-10": ("Imbalance 10", {"train_size": 2 * TRAIN, "imbalance": {"factor": 10}}),
    "pair-20": ("20 % pair noise", {"train_size": TRAIN, "noise": {"kind": "pair", "ratio": 0.2}}),
    "both": (
        "Imbalance 10 and 20 % pair noise",
        {
            "train_size": 2 * TRAIN,
            "imbalance": {"factor": 10},
            "noise": {"kind": "pair", "ratio": 0.2},
        },
    ),
    "imbalance-50": ("Imbalance 50", {"train_size": 2 * TRAIN, "imbalance": {"factor": 50}}),
    "pair-40": ("40 % pair noise", {"train_size": TRAIN, "noise": {"kind": "pair", "ratio": 0.4}}),
    "standard": ("Clean and balanced", {"train_size": TRAIN}),
}

LOW, HIGH = {"lr": 0.05}, {"lr": 0.1}
SHORT = {"fairness_from": 0.1}
"""A quarter of ten epochs is little to move class weights in: with the share of the run smaller."""
PRICED = {"prices": "hedge", "normalise_prices": False, "temperature": 0.25, **SHORT}

SETTINGS: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "pgd-at": [({}, {"lr": rate, "awp_gamma": gamma})
               for rate in (0.025, 0.05, 0.1) for gamma in (None, 0.005)],
    "trades": [({"beta": beta}, rate) for beta in (1.5, 3.0, 6.0) for rate in (LOW, HIGH)],
    "balanced-softmax": [({"loss": "trades", "beta": beta}, rate)
                         for beta in (1.5, 3.0, 6.0) for rate in (LOW, HIGH)],
    "wat": [({"beta": 1.5, "eta": eta}, rate) for eta in (0.2, 0.5, 1.0) for rate in (LOW, HIGH)],
    "frl-reweight-remargin": [({"beta": beta, **SHORT}, rate)
                              for beta in (1.5, 3.0, 6.0) for rate in (LOW, HIGH)],
    "faal": [({"loss": "trades", "beta": 1.5, **SHORT}, {**rate, "awp_gamma": gamma})
             for rate in ({"lr": 0.025}, LOW, HIGH) for gamma in (None, 0.005)],
    "cfol": [({"loss": "trades", "beta": 1.5, "eta": eta}, rate)
             for eta in (0.5, 2.0, 5.0) for rate in (LOW, HIGH)],
    "dafa": [({"beta": beta}, rate) for beta in (1.5, 3.0, 6.0) for rate in (LOW, HIGH)],
    "caat": [(fields, rate) for rate in (LOW, HIGH) for fields in (
        {**SHORT},
        {**PRICED, "eta": 0.5, "meta_every": 2, "copies": "sampled"},
        {**PRICED, "eta": 0.5, "meta_objective": "worst-class", "copies": "sampled"},
    )],
    "caat-rl": [(fields, rate) for rate in (LOW, HIGH) for fields in (
        {"eta": 0.5, "meta_num_steps": 3, "meta_objective": "priced", **SHORT},
        {"eta": 0.5, "meta_num_steps": 3, "meta_objective": "worst-class", **SHORT},
        {"eta": 0.5, "meta_num_steps": 3, "meta_objective": "priced", "bounds": "fixed", **SHORT},
    )],
}  # fmt: skip
"""Six settings of each method: its own fields, and those of [training]."""

CONTROLS = {
    "caat-rl, random directions and bounds": (
        "caat-rl",
        {"meta_objective": "priced", "meta_num_steps": None, "explore": 1.0, "eta": 0.5, **SHORT},
    ),
    "caat-rl, never learns": (
        "caat-rl",
        {
            "meta_objective": "priced",
            "meta_num_steps": None,
            "meta_every": 10_000,
            "meta_lr": 1e-9,
            "eta": 0.5,
            **SHORT,
        },
    ),
}
"""What a policy has to beat: at the learning rate that `caat-rl` was found best at."""
ERRORS = ("natural_error", "worst_natural_error", "robust_error", "worst_robust_error")


class Silent:
    """Nobody watches."""

    def on_progress(self, progress: object) -> None: ...

    def should_stop(self) -> bool:
        return False


# -- one run


def scenario_of(run: dict[str, Any]) -> Scenario:
    return new_scenario(
        {
            "seed": run["seed"],
            "data": {"dataset": "fashion-mnist", **SCENARIOS[run["scenario"]][1]},
            "threat": {"epsilon": EPSILON},
            "model": {"backbone": "small-cnn"},
            "method": {"name": run["method"], **run["fields"]},
            "training": {"epochs": EPOCHS, "batch_size": BATCH, **run["training"]},
        }
    )


def search_split(scenario: Scenario, data: Data, folder: Path) -> Data:
    """Put training images that the run does not see where its test images were."""
    official, _ = scenario.data.source.load(folder)
    rng = numpy_stream(scenario.seed, "split")
    piles = shuffled_by_class(official.labels, len(data.class_names), rng)
    chosen = np.sort(np.concatenate([pile[-SEARCH_PER_CLASS:] for pile in piles]))
    seen = np.concatenate([part.source for part in (data.train, data.meta, data.validation)])
    if np.isin(chosen, seen).any():
        raise ValueError("the search split shares images with the run; train_size is too large")
    return replace(data, test=official.take(chosen))


def measured(run: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train one run on one thread; return it with its errors."""
    device, began = torch.device("cpu"), time.process_time()
    configure(device, 1)
    scenario = scenario_of(run)
    data = prepare(scenario.data, scenario.seed, folder, with_meta=scenario.training.with_meta)
    if run["stage"] == "search":
        data = search_split(scenario, data, folder)
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


def stored() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RUNS.read_text().splitlines()] if RUNS.exists() else []


def search_runs(scenario: str, method: str) -> Iterator[dict[str, Any]]:
    for seed in SEARCH_SEEDS:
        for fields, training in SETTINGS[method]:
            yield _run("search", scenario, method, seed, fields=fields, training=training)


def _run(
    stage: str, scenario: str, method: str, seed: int, **settings: dict[str, Any]
) -> dict[str, Any]:
    named = {"stage": stage, "scenario": scenario, "method": method, "seed": seed, **settings}
    named["training"] = {k: v for k, v in named["training"].items() if v is not None}
    return named


def chosen(runs: Iterable[dict[str, Any]], scenario: str, method: str) -> dict[str, Any] | None:
    """Return the setting of least average + worst robust error on the search split, and that sum.

    None before every setting was tried on every seed.
    """
    sums: dict[str, list[float]] = {}
    for run in runs:
        if (run["stage"], run["scenario"], run["method"]) == ("search", scenario, method):
            setting = json.dumps([run["fields"], run["training"]], sort_keys=True)
            found = run["found"]
            sums.setdefault(setting, []).append(found["robust_error"] + found["worst_robust_error"])
    wanted = {
        json.dumps([run["fields"], run["training"]], sort_keys=True)
        for run in search_runs(scenario, method)
    }
    if any(len(sums.get(setting, ())) < len(SEARCH_SEEDS) for setting in wanted):
        return None
    best = min(wanted, key=lambda setting: statistics.mean(sums[setting]))
    fields, training = json.loads(best)
    return {"fields": fields, "training": training, "sum": statistics.mean(sums[best])}


def final_runs(scenario: str, method: str) -> Iterator[dict[str, Any]]:
    best = chosen(stored(), scenario, method)
    if best is None:
        print(f"{scenario}, {method}: not every setting was searched; run `search` first")
        return
    settings = [(best["fields"], best["training"])]
    if not method.startswith("caat"):
        settings.append((best["fields"], {**best["training"], "with_meta": True}))
    if method == "caat-rl":
        settings += [(fields, best["training"]) for _, fields in CONTROLS.values()]
    for seed in FINAL_SEEDS:
        for fields, training in settings:
            yield _run("final", scenario, method, seed, fields=fields, training=training)


# -- the page


def interval(values: list[float]) -> str:
    """Return the mean in %, and half of the 95 % interval of Student's t over the seeds."""
    mean = 100 * statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.1f} [1 seed]"
    error = 100 * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.1f} ± {stats.t.ppf(0.975, len(values) - 1) * error:.1f}"


def row_name(run: dict[str, Any]) -> str:
    for name, (method, fields) in CONTROLS.items():
        if (run["method"], run["fields"]) == (method, fields):
            return name
    extra = " + meta images" if run["training"].get("with_meta") else ""
    return f"`{run['method']}`{extra}"


def section(name: str, runs: list[dict[str, Any]]) -> list[str]:
    """Return the final table of a scenario, and what the search said."""
    final = [run for run in runs if (run["stage"], run["scenario"]) == ("final", name)]
    rows: dict[str, list[dict[str, Any]]] = {}
    for run in final:
        rows.setdefault(row_name(run), []).append(run)
    lines = ["", f"## {SCENARIOS[name][0]}", ""]
    if rows:
        lines += ["| | natural | worst natural | robust | worst robust | seeds | CPU s |"]
        lines += ["| --- |" + " --- |" * 6]
        order = sorted(
            rows, key=lambda row: statistics.mean(r["found"][ERRORS[3]] for r in rows[row])
        )
        for row in order:
            cells = [interval([run["found"][error] for run in rows[row]]) for error in ERRORS]
            seconds = statistics.median(run["cpu_seconds"] for run in rows[row])
            told = " | ".join([*cells, str(len(rows[row])), f"{seconds:.0f}"])
            lines.append(f"| {row} | {told} |")
        lines.append("")
    lines += ["Found on the search split:", ""]
    lines += ["| | setting | average + worst robust error | settings tried |", "| --- |" * 1]
    lines[-1] = "| --- | --- | --- | --- |"
    for method in SETTINGS:
        best = chosen(runs, name, method)
        if best is not None:
            said = json.dumps({**best["fields"], "training": best["training"]})
            cells = f"`{said}` | {100 * best['sum']:.1f} | {len(SETTINGS[method])}"
            lines.append(f"| `{method}` | {cells} |")
    return lines


def write_page() -> None:
    """Write the document from every run that is stored."""
    runs = stored()
    lines = [
        "# Every method at its best setting",
        "",
        f"Fashion-MNIST, small-cnn, l-inf epsilon {EPSILON}, {EPOCHS} epochs of batches of {BATCH},"
        " last epoch, batch norm in eval mode. Settings were chosen by least average + worst-class"
        f" robust error on {SEARCH_PER_CLASS} training images a class that no run sees, with seed"
        f" {' and '.join(map(str, SEARCH_SEEDS))}, as many settings for every method; the"
        " tables are of fresh seeds on the 10,000 test images, PGD-20, step epsilon / 4, one"
        " uniform start. Errors in %, mean ± half of the 95 % interval over the seeds (Student's"
        " t), worst robust error first. The worst class is each seed's own.",
        "",
        "    python benchmarks/method.py search && python benchmarks/method.py final",
        "",
        f"{len(runs):,} runs, each a line of [method.jsonl](method.jsonl).",
    ]
    for name in SCENARIOS:
        if any(run["scenario"] == name for run in runs):
            lines += section(name, runs)
    before = PAGE.read_text() if PAGE.exists() else ""
    verdict = VERDICT + before.partition(VERDICT)[2] if VERDICT in before else ""
    PAGE.write_text("\n".join(lines) + "\n\n" + verdict)


# -- all of it


def main() -> None:
    """Run what is missing of a stage, then write the page."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("stage", choices=["search", "final", "page"])
    options.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    options.add_argument("--methods", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--data", type=Path, default=Path.home() / ".caat-studio" / "datasets")
    options = options.parse_args()
    if options.stage != "page":
        runs_of = search_runs if options.stage == "search" else final_runs
        done = {key(run) for run in stored()}
        wanted = [
            run
            for scenario in options.scenarios
            for method in options.methods
            for run in runs_of(scenario, method)
            if key(run) not in done
        ]
        with ProcessPoolExecutor(options.processes) as pool, RUNS.open("a") as file:
            for run in pool.map(measured, wanted, [options.data] * len(wanted)):
                file.write(json.dumps(run) + "\n")
                file.flush()
                print(run["scenario"], row_name(run), run["seed"], run["found"], flush=True)
    write_page()


if __name__ == "__main__":
    main()
