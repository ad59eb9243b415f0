"""What an export is asked for: its kinds, how their files end, and what each may be told besides.

Neither tensors nor tables are loaded here: pages and commands ask before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from engine.errors import UserError

TABLE = (".csv", ".parquet")
WEIGHT = "weight"
SUSPECTS_BY = (WEIGHT, "loss", "margin", "confidence")
CLEANLAB = "cleanlab"
FORMATS = ("table", CLEANLAB)


@dataclass(frozen=True)
class ExportKind:
    """One thing that can be written of a run.

    Attributes:
        holds: What is in the file, in words.
        endings: How its name may end; the last one is usual.
        unit: What is counted in it.
        of_model: Whether a checkpoint is needed.
        extra: The optional part of this package that it needs, and the modules that come with it.
    """

    holds: str
    endings: tuple[str, ...]
    unit: str = "rows"
    of_model: bool = False
    extra: tuple[str, ...] = ()

    def require_extra(self) -> None:
        """Refuse what this installation lacks the packages for.

        Raises:
            UserError: One is missing; it says what to install.
        """
        missing = [name for name in self.extra[1:] if not _is_installed(name)]
        if missing:
            raise UserError(
                f"--what: it needs {' and '.join(missing)}, not installed here: "
                f"pip install 'caat-studio[{self.extra[0]}]'"
            )


def _is_installed(name: str) -> bool:
    """Tell whether a package is there; a folder of its name, which it has written, is none."""
    spec = find_spec(name)
    return spec is not None and spec.origin is not None


KINDS: dict[str, ExportKind] = {
    "metrics": ExportKind("Losses and errors, step by step", TABLE),
    "classes": ExportKind("Errors of each class, epoch by epoch", TABLE),
    "samples": ExportKind("Weights and characteristics of each training sample", TABLE),
    "evaluations": ExportKind("What the model says of each test image", TABLE),
    "suspects": ExportKind("Training samples whose label is doubted", TABLE, of_model=True),
    "model": ExportKind(
        "Weights; as .zip with a program and a loader that need no CAAT Studio",
        (".zip", ".safetensors"),
        unit="tensors",
        of_model=True,
    ),
    "torch-export": ExportKind(
        "The model as a program of torch.export", (".pt2",), unit="tensors", of_model=True
    ),
    "onnx": ExportKind(
        "The model as ONNX",
        (".onnx",),
        unit="tensors",
        of_model=True,
        extra=("onnx", "onnx", "onnxscript"),
    ),
    "card": ExportKind("Model card: protocol, classes, data, limits", (".md",), unit="lines"),
    "tensorboard": ExportKind(
        "Curves as TensorBoard event files",
        (".zip",),
        unit="values",
        extra=("tensorboard", "tensorboard"),
    ),
    "mlflow": ExportKind("Curves as an MLflow file store", (".zip",), unit="values"),
    "wandb": ExportKind(
        "Curves as an offline run of Weights & Biases",
        (".zip",),
        unit="values",
        extra=("wandb", "wandb"),
    ),
}
REPORT = "report"
"""Written by the pages' own parts, and so not in the queue."""


@dataclass(frozen=True)
class ExportRequest:
    """What is asked for.

    Attributes:
        what: One of `KINDS`.
        by: What label suspects are ordered by, one of `SUSPECTS_BY`; None is the learned weight.
        format: Their columns, one of `FORMATS`; None is all that is known.
    """

    what: str
    by: str | None = None
    format: str | None = None

    @property
    def kind(self) -> ExportKind:
        return KINDS[self.what]

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored: what was left out is not in it."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def in_words(self, ending: str) -> str:
        """Say it in a few words: ``suspects, by loss, cleanlab, .csv``."""
        by = [] if self.by is None else [f"by {self.by}"]
        return ", ".join([self.what, *by, *([self.format] if self.format else []), ending])

    def require_known(self) -> None:
        """Refuse what is no export, and an order or a format that it has not.

        Raises:
            UserError: It is so; it says which there are.
        """
        if self.what not in KINDS:
            raise UserError(
                f"--what: {self.what!r} is unknown; choose {', '.join(KINDS)} or {REPORT}"
            )
        _require_choice("--by", self.by, SUSPECTS_BY, what=self.what)
        _require_choice("--format", self.format, FORMATS, what=self.what)

    def require_ending(self, ending: str) -> None:
        """Refuse a file's ending that such an export has not.

        Raises:
            UserError: It is so; it says which there are.
        """
        if ending not in self.kind.endings:
            raise UserError(f"--out: the name must end in {' or '.join(self.kind.endings)}")


def _require_choice(flag: str, value: str | None, choices: tuple[str, ...], *, what: str) -> None:
    if value is None:
        return
    if what != "suspects":
        raise UserError(f"{flag}: {what} has none; it is for --what suspects")
    if value not in choices:
        raise UserError(f"{flag}: {value!r} is unknown; choose {', '.join(choices)}")


def request_of(stored: Mapping[str, Any]) -> ExportRequest:
    """Return the request that a job has stored."""
    return ExportRequest(str(stored["what"]), stored.get("by"), stored.get("format"))
