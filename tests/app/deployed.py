"""What the files of a deployment start: read from compose, manifests, units and scripts alike."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
IMAGE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


@dataclass(frozen=True)
class Started:
    """One ``caat`` that a file starts."""

    place: str
    words: list[str]
    environment: dict[str, str]
    grace: float
    """Seconds from the word to end to the kill."""
    user: str


def documents(*files: Path) -> list[dict[str, Any]]:
    """Return all documents of some YAML files."""
    return [d for file in files for d in yaml.safe_load_all(file.read_text("utf-8")) if d]


def pods() -> list[tuple[str, dict[str, Any]]]:
    """Return the name and the pod of every Deployment and StatefulSet."""
    kinds = ("Deployment", "StatefulSet")
    found = [d for d in documents(*MANIFESTS) if d["kind"] in kinds]
    return [(d["metadata"]["name"], d["spec"]["template"]["spec"]) for d in found]


def image_environment() -> dict[str, str]:
    """Return what the last stage of the image sets."""
    last = IMAGE.rpartition("FROM ")[2]
    lines = [line[4:] for line in last.splitlines() if line.startswith("ENV ")]
    return dict(word.split("=", 1) for line in lines for word in line.split())


def started() -> list[Started]:
    """Return every process of ours that a file starts."""
    return [*_of_compose(), *_of_kubernetes(), *_of_systemd(), *_of_slurm()]


def _of_compose() -> Iterator[Started]:
    for name, service in COMPOSE["services"].items():
        if str(service.get("command", "")).startswith("caat "):
            grace = float(service.get("stop_grace_period", "10s").removesuffix("s"))
            words = service["command"].split()
            user = service["user"]
            yield Started(f"compose {name}", words, service["environment"], grace, user)


def _of_kubernetes() -> Iterator[Started]:
    (kustomization,) = documents(DEPLOY / "kubernetes" / "kustomization.yaml")
    shared = kustomization["configMapGenerator"][0]["literals"]
    for name, pod in pods():
        (container,) = pod["containers"]
        if container["image"] != "caat-studio":
            continue
        own = {entry["name"]: entry["value"] for entry in container.get("env", [])}
        who = pod["securityContext"]
        yield Started(
            f"kubernetes {name}",
            container["args"],
            dict(line.split("=", 1) for line in shared) | own,
            pod["terminationGracePeriodSeconds"],
            f"{who['runAsUser']}:{who['runAsGroup']}",
        )


def _of_systemd() -> Iterator[Started]:
    shared = _assignments((DEPLOY / "systemd" / "caat.env.example").read_text(encoding="utf-8"))
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8")
        (command,) = re.findall(r"^ExecStart=(.*)", text, re.M)
        own = " ".join(re.findall(r"^Environment=(.*)", text, re.M)).split()
        (grace,) = re.findall(r"^TimeoutStopSec=(\d+)", text, re.M)
        words = ["caat", *command.replace("%i", "cpu").split()[1:]]
        environment = shared | dict(word.split("=", 1) for word in own)
        yield Started(f"systemd {unit.name}", words, environment, float(grace), "caat")


def _of_slurm() -> Iterator[Started]:
    text = (DEPLOY / "slurm" / "worker.sbatch").read_text(encoding="utf-8")
    (command,) = re.findall(r"^(caat worker .*) &$", text, re.M)
    (grace,) = re.findall(r"--signal=B:TERM@(\d+)", text)
    yield Started("slurm worker", command.split(), {}, float(grace), "whoever submits")


def _assignments(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Z_]+=", line))
