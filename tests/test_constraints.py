"""Every package that an installation brings is pinned, on each Python that the program supports."""

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
OF_TORCH = re.compile(r"(nvidia-[cn](?!.*ml-py)|cuda-|triton)")
"""Which build of CUDA there is, its index says; torch pins the parts to the patch itself."""
LINES = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def machine(python: str, system: str) -> dict[str, str]:
    """Return what a marker is told of a Python on a system."""
    return {
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python,
        "sys_platform": system,
        "platform_system": {"linux": "Linux", "darwin": "Darwin"}[system],
        "platform_machine": {"linux": "x86_64", "darwin": "arm64"}[system],
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
    }


def applies(requirement: Requirement, where: dict[str, str], extras: frozenset[str]) -> bool:
    marker = requirement.marker
    chosen = extras or {""}
    return marker is None or any(marker.evaluate(where | {"extra": extra}) for extra in chosen)


def brought(where: dict[str, str]) -> set[str]:
    """Return the names of all that an installation for developers brings, as the metadata say."""
    waiting = [("caat-studio", frozenset({"dev"}))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = entry = waiting.pop()
        if entry in seen or OF_TORCH.match(name):
            continue
        seen.add(entry)
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:
            continue  # of another Python; that it is pinned is what is asked
        for requirement in map(Requirement, requires):
            if applies(requirement, where, extras):
                needed = frozenset(requirement.extras)
                waiting.append((canonicalize_name(requirement.name), needed))
    return {name for name, _ in seen} - {"caat-studio"}


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("python", ["3.11.2", "3.11.9", "3.12.1", "3.13.0", "3.14.0"])
def test_whatever_is_installed_is_pinned_on_this_python(python, system):
    where = machine(python, system)
    pinned = {canonicalize_name(line.name) for line in LINES if applies(line, where, frozenset())}
    needed = brought(where)
    assert len(needed) > 100
    assert ("async-timeout" in needed) == (python == "3.11.2")  # Debian 12's own
    assert sorted(needed - pinned) == []


def test_a_package_is_pinned_once_and_to_one_version():
    names = [canonicalize_name(line.name) for line in LINES]
    assert sorted(names) == sorted(set(names))
    assert all(len(line.specifier) == 1 and str(line.specifier)[:2] == "==" for line in LINES)
