"""The page of `benchmarks/method.py`, and what forms and commands offer, from the stored runs."""

import json
import statistics
from collections.abc import Iterable
from typing import Any

from scipy import stats

from benchmarks.method_found import RUNS, chosen, stored
from benchmarks.method_settings import (
    BATCH,
    EPOCHS,
    EPSILON,
    KIND_OF,
    SCENARIOS,
    SEARCH_PER_CLASS,
    SEARCH_SEEDS,
)
from benchmarks.method_transfer import TRANSFER_SIZE
from engine.evaluation.comparison import pareto_front, seed_difference
from engine.evaluation.statistics import holm
from engine.found import TABLE as FOUND

PAGE = RUNS.with_suffix(".md")
VERDICT = "## What follows"
"""The part of the page that a person writes, below the tables; it is kept."""
OURS = "caat-weighted"
ERRORS = ("natural_error", "worst_natural_error", "robust_error", "worst_robust_error")


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
        lines += differences({row: rows[row] for row in order})
        lines += transfer_table({row: rows[row] for row in order})
    elsewhere = sorted({run["found_at"] for run in final if "found_at" in run})
    if elsewhere:
        titles = ", ".join(SCENARIOS[other][0] for other in elsewhere)
        return [*lines, f"Nothing was searched here: settings are those found for {titles}."]
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


def differences(rows: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return how much more every row errs than `OURS`, seed by seed, with corrected p-values."""
    if OURS not in rows:
        return []
    own = {error: {run["seed"]: run["found"][error] for run in rows[OURS]} for error in ERRORS}
    found = {
        row: [
            seed_difference({run["seed"]: run["found"][error] for run in of}, own[error])
            for error in ERRORS
        ]
        for row, of in rows.items()
        if row != OURS
    }
    if any(one.n < 3 for of in found.values() for one in of):
        return []
    p_values = [holm([of[place].p_value for of in found.values()]) for place in range(len(ERRORS))]
    lines = [f"Points more than {OURS}, mean over the common seeds with Student's 95 % interval,"]
    lines += ["p of the paired t-test, corrected over the rows (Holm):", ""]
    lines += ["| | natural | worst natural | robust | worst robust |", "| --- |" + " --- |" * 4]
    for line, (row, of) in enumerate(found.items()):
        cells = (
            f"{100 * one.value:+.1f} ± {50 * (one.high - one.low):.1f}, p = {p[line]:.2g}"
            for one, p in zip(of, p_values, strict=True)
        )
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return [*lines, ""]


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
