"""Every method at its best setting, found without the test images, under one protocol.

    python benchmarks/method.py search [--scenarios NAME ...] [--rows NAME ...]
    python benchmarks/method.py final  [--scenarios NAME ...] [--rows NAME ...]
    python benchmarks/method.py page

`search` trains each row at as many settings as every other, on seeds of its own, and looks at a
fourth split: training images that no run trains on, learns from or steers by. `final` trains what
`search` found best on five fresh seeds, and opens the 10,000 test images once. Every run is a line
of docs/results/method.jsonl, so that a call goes on where one was broken off, and
docs/results/method.md is written from that file.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# This folder is first on the path, and its engine.py is called like the package.
HERE = Path(__file__).resolve().parent
sys.path = [str(HERE.parent), *(entry for entry in sys.path if Path(entry).resolve() != HERE)]

import numpy as np
import torch
from scipy import stats

from benchmarks.method_transfer import TRANSFER_SIZE, transferred
from engine.data.preparation import Data, prepare, shuffled_by_class
from engine.evaluation.comparison import pareto_front
from engine.found import TABLE as FOUND
from engine.found import Kind
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
    "imbalance-10-1000": (
        "Imbalance 10, with 1,000 meta images",
        {"train_size": 2 * TRAIN, "imbalance": {"factor": 10}, "meta_per_class": 100},
    ),
}

KIND_OF: dict[str, Kind] = {
    "imbalance-10": "imbalance",
    "imbalance-10-1000": "imbalance",
    "pair-20": "noise",
    "pair-40": "noise",
    "both": "both",
    "standard": "standard",
}
META = {"with_meta": True}
"""Rivals train on the meta images: they have what CAAT has."""
SHORT = {"fairness_from": 0.1}
"""A quarter of ten epochs is little to move class weights in: with the share of the run smaller."""
CHEAP = {"copies": "sampled", "meta_every": 2, "meta_num_steps": 3, "bounds": "fixed"}

Setting = tuple[dict[str, Any], dict[str, Any]]
SETTINGS: dict[str, tuple[str, list[Setting]]] = {
    "trades + meta images": ("trades", [
        ({"beta": 1.5}, {"lr": 0.05, **META}),
        ({"beta": 1.5}, {"lr": 0.1, **META}),
        ({"beta": 3.0}, {"lr": 0.1, **META}),
        ({"beta": 6.0}, {"lr": 0.1, **META}),
    ]),
    "wat + meta images": ("wat", [
        ({"beta": 1.5, "eta": 0.2}, {"lr": 0.05, **META}),
        ({"beta": 1.5, "eta": 0.1}, {"lr": 0.1, **META}),
        ({"beta": 1.5, "eta": 0.5}, {"lr": 0.1, **META}),
        ({"beta": 6.0, "eta": 0.2}, {"lr": 0.1, **META}),
    ]),
    "meta-weight-net on TRADES": ("meta-weight-net", [
        ({"loss": "trades", "beta": 1.5, "meta_every": 2, "meta_lr": 0.01}, {"lr": 0.05}),
        ({"loss": "trades", "beta": 1.5, "meta_every": 2, "meta_lr": 0.01}, {"lr": 0.1}),
        ({"loss": "trades", "beta": 1.5, "meta_every": 2}, {"lr": 0.1}),
        ({"loss": "trades", "beta": 6.0, "meta_every": 2, "meta_lr": 0.01}, {"lr": 0.1}),
    ]),
    "oat + meta images": ("oat", [
        ({}, {"lr": 0.05, **META}),
        ({}, {"lr": 0.1, **META}),
        ({"oracle_lr": 0.02}, {"lr": 0.1, **META}),
        ({"oracle_lr": 0.02, "neighbours": 50}, {"lr": 0.1, **META}),
    ]),
    "caat, as the paper": ("caat", [
        ({**SHORT, "copies": "sampled"}, {"lr": 0.05}),
        ({**SHORT, "copies": "sampled"}, {"lr": 0.1}),
        ({**CHEAP, **SHORT, "prices": "hedge", "eta": 0.2}, {"lr": 0.05}),
        ({**SHORT, "copies": "sampled", "beta": 6.0}, {"lr": 0.1}),
    ]),
    "caat-weighted": ("caat-weighted", [
        ({}, {"lr": 0.05}),
        ({}, {"lr": 0.1}),
        ({"eta": 0.5}, {"lr": 0.1}),
        ({"beta": 6.0}, {"lr": 0.1}),
    ]),
}  # fmt: skip
"""Four settings of each row: the method, its own fields, and those of [training]."""
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


def setting_of(run: dict[str, Any]) -> str:
    return json.dumps([run["fields"], run["training"]], sort_keys=True)


def stored() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RUNS.read_text().splitlines()] if RUNS.exists() else []


def _runs(stage: str, scenario: str, row: str, settings: list[Setting]) -> Iterator[dict[str, Any]]:
    for seed in SEARCH_SEEDS if stage == "search" else FINAL_SEEDS:
        for fields, training in settings:
            named = {"stage": stage, "scenario": scenario, "row": row, "method": SETTINGS[row][0]}
            yield {**named, "seed": seed, "fields": fields, "training": training}


def search_runs(scenario: str, row: str) -> Iterator[dict[str, Any]]:
    return _runs("search", scenario, row, SETTINGS[row][1])


def final_runs(scenario: str, row: str) -> Iterator[dict[str, Any]]:
    best = chosen(stored(), scenario, row)
    if best is None or best.tried < len(SETTINGS[row][1]):
        print(f"{scenario}, {row}: not every setting was searched; run `search` first")
        return iter(())
    return _runs("final", scenario, row, [(best.fields, best.training)])


@dataclass(frozen=True)
class Chosen:
    """What a search found: the setting, its average + worst robust error, of how many settings."""

    fields: dict[str, Any]
    training: dict[str, Any]
    sum: float
    tried: int


def chosen(runs: Iterable[dict[str, Any]], scenario: str, row: str) -> Chosen | None:
    """Return the setting of least average + worst robust error on the search split."""
    sums: dict[str, list[float]] = {}
    for run in runs:
        if (run["stage"], run["scenario"], run["row"]) == ("search", scenario, row):
            found = run["found"]
            robust = found["robust_error"] + found["worst_robust_error"]
            sums.setdefault(setting_of(run), []).append(robust)
    if not sums:
        return None
    best = min(sums, key=lambda setting: statistics.mean(sums[setting]))
    return Chosen(*json.loads(best), sum=statistics.mean(sums[best]), tried=len(sums))


# -- the page


def interval(values: list[float]) -> str:
    """Return the mean in %, and half of the 95 % interval of Student's t over the seeds."""
    mean = 100 * statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.1f} [1 seed]"
    error = 100 * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.1f} ± {stats.t.ppf(0.975, len(values) - 1) * error:.1f}"


def section(name: str, runs: list[dict[str, Any]]) -> list[str]:
    """Return the final table of a scenario, and what the search said."""
    final = [run for run in runs if (run["stage"], run["scenario"]) == ("final", name)]
    rows: dict[str, list[dict[str, Any]]] = {}
    for run in final:
        rows.setdefault(run["row"], []).append(run)
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
        lines += transfer_table({row: rows[row] for row in order})
    lines += ["Found on the search split:", ""]
    lines += ["| | setting | average + worst robust error | settings tried |"]
    lines += ["| --- | --- | --- | --- |"]
    searched = dict.fromkeys(run["row"] for run in runs if run["scenario"] == name)
    for row in searched:
        best = chosen(runs, name, row)
        if best is not None:
            said = json.dumps({**best.fields, "training": best.training})
            lines.append(f"| {row} | `{said}` | {100 * best.sum:.1f} | {best.tried} |")
    return [*lines, "", *fronts([run for run in runs if run["scenario"] == name], searched)]


def fronts(runs: list[dict[str, Any]], rows: Iterable[str]) -> list[str]:
    """Return each row's front on the search split: natural / worst robust, one seed a setting."""
    points: dict[str, list[tuple[float, float]]] = {row: [] for row in rows}
    for run in runs:
        if run["stage"] == "search":
            found = run["found"]
            points[run["row"]].append((found["natural_error"], found["worst_robust_error"]))
    told = []
    for row, of in points.items():
        on_front = pareto_front([(-natural, -robust) for natural, robust in of]) if of else []
        best = sorted({point for point, on in zip(of, on_front, strict=True) if on})
        said = ", ".join(f"{100 * natural:.1f} / {100 * robust:.1f}" for natural, robust in best)
        told += [f"- {row}: {said}"] if said else []
    lead = "Fronts of the settings tried, natural / worst robust error on the search split:"
    return [lead, "", *told]


def transfer_table(rows: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return the table of errors under what was not trained for, average / worst class."""
    told = {row: [r["found"]["transfer"] for r in of if "transfer" in r["found"]]
            for row, of in rows.items()}  # fmt: skip
    told = {row: found for row, found in told.items() if found}
    if not told:
        return []
    names = [name for name in next(iter(told.values()))[0] if not name.startswith("worst ")]
    lines = [f"Not trained for: {TRANSFER_SIZE:,} test images, PGD-20 or six kinds of corruption,"]
    lines += ["average / worst class:", "", f"| | {' | '.join(names)} |"]
    lines += ["| --- |" + " --- |" * len(names)]
    for row, found in told.items():
        pairs = ([100 * statistics.mean(run[key] for run in found) for key in (n, f"worst {n}")]
                 for n in names)  # fmt: skip
        lines.append(f"| {row} | " + " | ".join(f"{a:.1f} / {w:.1f}" for a, w in pairs) + " |")
    return [*lines, ""]


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


def write_found() -> None:
    """Write what the forms and `caat methods` offer: the best setting of each method and kind.

    Of two rows of a method, with meta images among its training images and without, the better
    counts; of two scenarios of a kind the first of `KIND_OF` that was searched.
    """
    runs, table = stored(), {}
    for scenario, kind in KIND_OF.items():
        for row in dict.fromkeys(run["row"] for run in runs if run["scenario"] == scenario):
            best = chosen(runs, scenario, row)
            if best is None or row.startswith("caat-rl, "):
                continue
            method = next(run["method"] for run in runs if run["row"] == row)
            on = (
                f"Fashion-MNIST, {SCENARIOS[scenario][0][0].lower()}{SCENARIOS[scenario][0][1:]}, "
                f"small-cnn, epsilon {EPSILON}, {EPOCHS} epochs"
            )
            known = table.setdefault(kind, {}).get(method)
            if known is None or (known["on"] == on and best.sum < known["sum"]):
                fields = {"fields": best.fields, "training": best.training}
                table[kind][method] = {**fields, "tried": best.tried, "on": on, "sum": best.sum}
    for methods in table.values():
        for entry in methods.values():
            del entry["sum"]
    FOUND.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")


# -- all of it


def main() -> None:
    """Run what is missing of a stage, then write the page."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("stage", choices=["search", "final", "page"])
    options.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    options.add_argument("--rows", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--data", type=Path, default=Path.home() / ".caat-studio" / "datasets")
    options = options.parse_args()
    if options.stage != "page":
        runs_of = search_runs if options.stage == "search" else final_runs
        done = {key(run) for run in stored()}
        wanted = [
            run
            for scenario in options.scenarios
            for row in options.rows
            for run in runs_of(scenario, row)
            if key(run) not in done
        ]
        with ProcessPoolExecutor(options.processes) as pool, RUNS.open("a") as file:
            for run in pool.map(measured, wanted, [options.data] * len(wanted)):
                file.write(json.dumps(run) + "\n")
                file.flush()
                print(run["scenario"], run["row"], run["seed"], run["found"], flush=True)
    write_page()
    write_found()


if __name__ == "__main__":
    main()
