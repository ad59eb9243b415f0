"""The one place that picks the device, and that sets what a number's last bit depends on."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import runpy
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from engine.errors import UserError
from engine.lazy import torch
from engine.models.modes import allow_tf32

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's malloc.h; 32 MiB is the largest that it takes for the second."""

NEEDS = {
    "bf16": "a GPU or a CPU with instructions for it (AMX, AVX-512 BF16)",
    "tf32": "an NVIDIA GPU with instructions for it (Ampere or newer)",
}
"""What each arithmetic of training other than float32 is made for."""


def pick_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UserError: There is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"device: {name!r} is unknown; choose auto, cpu or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"device: {name} is not here; {torch.cuda.device_count()} CUDA devices found"
        )
    if device.type == "mps":
        raise UserError("device: mps, Apple's GPU, is not supported; choose cpu")
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device: {name!r} is not supported; choose auto, cpu or cuda:N")
    return device


class FoundDevice(NamedTuple):
    """A device as torch writes it, and what it says of itself."""

    device: str
    name: str
    uuid: str = ""
    """Of a GPU; its number is another for each program that is shown some of them."""
    memory: int | None = None
    """Bytes that a GPU has."""


@cache
def find_device(name: str) -> FoundDevice:
    """Return what `pick_device` picks, without torch in this process.

    Where there may be a GPU, a process of its own asks torch.

    Raises:
        UserError: There is no such device here.
    """
    if name == "cpu" or (name == "auto" and whom_to_ask() is None):
        return FoundDevice("cpu", _processor())
    device, called, uuid, memory = _asked_of_torch(name)
    return FoundDevice(device, called, uuid, int(memory) if memory else None)


def cuda_devices() -> list[str]:
    """Return every CUDA device that torch sees, without torch in this process.

    NVIDIA's own list is another one: it heeds no CUDA_VISIBLE_DEVICES, and a build of torch for the
    CPU alone can use none of it.

    Raises:
        UserError: Torch cannot be asked.
    """
    return _asked_of_torch("all") if whom_to_ask() else []


_TORCH = (sys.executable, "-m", "engine.runtime")


def whom_to_ask() -> tuple[str, ...] | None:
    """Return the command that knows the GPUs of this machine; nothing where there can be none.

    The one place where a test puts in devices that are not there (`tests/real/gpus.py`).
    """
    return _TORCH if _may_have_gpu() else None


def _asked_of_torch(name: str) -> list[str]:
    """Return the lines that `_answer` writes."""
    asked = subprocess.run(
        [*(whom_to_ask() or _TORCH), name], capture_output=True, text=True, check=False
    )
    if asked.returncode == 0:
        return asked.stdout.splitlines()
    last = (asked.stderr or f"exit code {asked.returncode}").splitlines()[-1]
    raise UserError(last if asked.returncode == 2 else f"device: torch cannot be asked: {last}")


def _may_have_gpu() -> bool:
    """Tell whether torch could use a GPU: it needs NVIDIA's library or AMD's driver."""
    if sys.platform != "linux" or Path("/dev/kfd").exists():
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def configure(device: torch.device, num_threads: int) -> None:
    """Fix threads, algorithms and arithmetic; call it before the first tensor is made.

    On CUDA an operation without a deterministic form warns instead of failing. Float32 is float32
    in the whole process; a training step that may round more says so (`modes.arithmetic`).
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(num_threads)
    _keep_freed_memory()
    torch.set_flush_denormal(True)  # numbers below 1e-38 are slow and worth nothing
    allow_tf32(False, False)
    # As use_deterministic_algorithms(), which loads torch's compiler as well: two seconds.
    torch.set_deterministic_debug_mode("warn" if device.type == "cuda" else "error")


def load_torch() -> None:
    """Have torch load what it does at first use, two seconds: its compiler and its forward mode.

    The first is what any optimiser wants, the second a meta step.
    """
    torch.optim.SGD([torch.zeros(1)])
    torch.func.jvp(torch.sin, (torch.zeros(1),), (torch.zeros(1),))


def _keep_freed_memory() -> None:
    """Have glibc keep what is freed: every pass asks for the same memory again.

    Giving it back and taking it anew, page by page, cost a fifth of a step with both copies.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # another C library has other ways
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_MMAP_THRESHOLD, 32 * 2**20)


def require_precision(precision: str, device: torch.device) -> None:
    """Refuse an arithmetic that the device does not have: another one gives other numbers.

    Raises:
        UserError: bf16 or tf32 is asked for, and the device has no instructions for it.
    """
    has: dict[str, Callable[[torch.device], bool]] = {"bf16": _has_bf16, "tf32": _has_tf32}
    if precision in has and not has[precision](device):
        here = ["float32", *(name for name, is_here in has.items() if is_here(device))]
        raise UserError(
            f"training.precision: {precision!r} needs {NEEDS[precision]}, and {device} here has "
            f"none; allowed here: {', '.join(here)}"
        )


def _has_tf32(device: torch.device) -> bool:
    is_nvidia = device.type == "cuda" and torch.version.hip is None
    return is_nvidia and torch.cuda.get_device_capability(device) >= (8, 0)


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if not hasattr(torch.cpu, "get_capabilities"):  # torch 2.11 and later say
        return False
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def device_name(device: torch.device) -> str:
    """Return what the device calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor()


def _processor() -> str:
    return platform.processor() or platform.machine()


@cache
def _torch_version() -> str:
    """Return what torch calls itself, with its build (+cu130), without loading it.

    The package's metadata may lack the build.
    """
    found = importlib.util.find_spec("torch")
    assert found is not None
    assert found.origin is not None
    told: str = runpy.run_path(str(Path(found.origin).with_name("version.py")))["__version__"]
    return told


def versions() -> dict[str, str]:
    """Return the versions that a number depends on."""
    return {
        "caat-studio": version("caat-studio"),
        "torch": _torch_version(),
        "numpy": version("numpy"),
        "python": platform.python_version(),
    }


def _answer(name: str) -> int:
    """Write what is asked for, in lines; with code 2, in a line on stderr, why there is none."""
    if name == "all":
        sys.stdout.writelines(f"cuda:{index}\n" for index in range(torch.cuda.device_count()))
        return 0
    try:
        device = pick_device(name)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    uuid, memory = "", ""
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        uuid, memory = str(getattr(about, "uuid", "")), str(about.total_memory)
    sys.stdout.write(f"{device}\n{device_name(device)}\n{uuid}\n{memory}\n")
    return 0


if __name__ == "__main__":
    sys.exit(_answer(sys.argv[1]))
