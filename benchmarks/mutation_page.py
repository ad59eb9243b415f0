"""docs/mutation.md: written from what docs/mutation.json holds."""

import json
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.mutants import GONE, MISSED

HEAD = """# Would the tests notice?

    python benchmarks/mutation.py cover
    python benchmarks/mutation.py draw --mutants {number} --seed {seed}
    python benchmarks/mutation.py run
    python benchmarks/mutation.py page

Faults that cosmic-ray puts in, one at a time, drawn by a seed in equal parts from the four
packages. Of each, the nearest tests of the short run that reach its line are tried, as many as take
{tests_seconds:g} seconds together when nothing else runs, and those that read the code or hold
documents against it, for at most 60 seconds. A fault is called equivalent only with the input or
the reason that shows it (benchmarks/equivalent.toml). Rules were written for what an earlier run of
the same faults had missed, so that faults drawn anew would be noticed less often; {gone} faults of
lines that are no more in the product are left out. Written by the command.

| package | faults | noticed | equivalent | missed | noticed of those that are faults |
| --- | --- | --- | --- | --- | --- |
"""


def write_page(found: Path) -> None:
    """Write the page beside the figures."""
    told = json.loads(found.read_text())
    equivalent = _equivalents(Path(__file__).with_name("equivalent.toml"))
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for mutant in told["mutants"]:
        if mutant.get("outcome", GONE) != GONE:
            groups[mutant["file"].partition("/")[0]].append(mutant)
    everything = [mutant for group in groups.values() for mutant in group]
    gone = sum(mutant.get("outcome") == GONE for mutant in told["mutants"])
    text = HEAD.format(number=len(told["mutants"]), gone=gone, **told)
    for name, group in [*groups.items(), ("all", everything)]:
        text += _row(name, group, equivalent)
    text += "\n## Missed\n\n" + _list(everything, equivalent, called=False)
    text += "\n## Called equivalent\n\n" + _list(everything, equivalent, called=True)
    found.with_suffix(".md").write_text(text)


def _equivalents(file: Path) -> dict[tuple[str, str, str], str]:
    """Return why a fault of a file changes nothing, by its line before and after."""
    listed = tomllib.loads(file.read_text())["equivalent"] if file.exists() else []
    return {(each["file"], each["before"], each["after"]): each["why"] for each in listed}


def _key(mutant: dict[str, Any]) -> tuple[str, str, str]:
    return mutant["file"], mutant["before"], mutant["after"]


def _row(name: str, group: list[dict[str, Any]], equivalent: dict[Any, str]) -> str:
    missed = [mutant for mutant in group if mutant["outcome"] == MISSED]
    same = sum(_key(mutant) in equivalent for mutant in missed)
    noticed = len(group) - len(missed)
    share = noticed / max(len(group) - same, 1)
    left = len(missed) - same
    return f"| {name} | {len(group)} | {noticed} | {same} | {left} | {share:.1%} |\n"


def _list(mutants: list[dict[str, Any]], equivalent: dict[Any, str], *, called: bool) -> str:
    text = ""
    for mutant in mutants:
        why = equivalent.get(_key(mutant))
        if mutant["outcome"] == MISSED and (why is not None) == called:
            text += f"- {mutant['file']}: `{mutant['before']}` -> `{mutant['after']}`"
            text += f": {why}\n" if why else "\n"
    return text or "None.\n"
