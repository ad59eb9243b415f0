"""What is installed beside the product: plug-ins, and packages that have the names of ours."""

from collections.abc import Iterator
from importlib.metadata import packages_distributions

from caat_studio.place import PACKAGES, shadowed
from engine.attacks.base import ATTACKS
from engine.data.datasets.base import DATASETS
from engine.methods.base import METHODS
from engine.models.backbones.base import BACKBONES
from engine.plugin_host import SLOW, Plugin
from tasks.finding import Finding

OURS = "caat-studio"


def plugins() -> Iterator[Finding]:
    """Say of each plug-in what it adds, or why it was left out."""
    for menu in (METHODS, DATASETS, BACKBONES, ATTACKS):
        for plugin in menu.plugins():
            text = f"{plugin.distribution} {plugin.version}, {plugin.target}{_said(plugin)}"
            title = f"{plugin.kind} {plugin.name}"
            yield Finding("plug-in", plugin.problem is None, text, of=title)


def packages() -> Iterator[Finding]:
    """Say whether another distribution, or a folder, has the name of a package of ours."""
    problems = list(shadowed())
    owners = packages_distributions()
    for name in PACKAGES:
        others = sorted(set(owners.get(name, ())) - {OURS})
        if others:
            cure = f"install CAAT Studio and {others[0]} in environments of their own"
            problems.append(f"{', '.join(others)} has a package {name!r} too: {cure}")
    for text in problems:
        yield Finding("packages", False, text)
    if not problems:
        yield Finding("packages", True, f"no other {', '.join(PACKAGES)} is in the way")


def _said(plugin: Plugin) -> str:
    if plugin.problem is not None:
        return f" is left out: {plugin.problem}; mend it, or uninstall {plugin.distribution}"
    if plugin.seconds > SLOW:
        return (
            f": its import takes {plugin.seconds:.1f} s, for which every command waits; "
            "`from caat_studio.plugins import torch` loads torch at its first use"
        )
    return ""
