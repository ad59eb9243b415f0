"""How full and how busy a worker's device is: by psutil, or by NVIDIA's library; never by torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

from tasks.processes.memory import memory

if TYPE_CHECKING:
    from engine.runtime import FoundDevice


SHORTEST = 0.5
"""Seconds of a processor in which its share means something."""


class DeviceUse(NamedTuple):
    """What a device says of itself now; nothing where it does not."""

    memory_total: int | None = None
    """Bytes."""
    memory_used: int | None = None
    """By whatever program."""
    utilisation: float | None = None
    """Share of it that was busy lately, 0 to 1."""


class Gauge:
    """Reads a device again and again."""

    def __init__(self) -> None:
        self._times = psutil.cpu_times()
        self._busy: float | None = None
        self._gpu: Any = None  # as NVIDIA's library knows it

    def read(self, found: FoundDevice) -> DeviceUse:
        """Return what the device says of itself.

        A processor is that of the whole machine, its memory that which programs here may have.
        """
        if found.device == "cpu":
            return self._of_processor()
        known = DeviceUse(memory_total=found.memory)
        return self._of_nvidia(found.uuid, known) if found.uuid else known

    def _of_processor(self) -> DeviceUse:
        return DeviceUse(*memory(), self._how_busy())

    def _how_busy(self) -> float | None:
        """Return the processor's share since the last look; psutil's own is that of a thread."""
        now = psutil.cpu_times()
        passed, idle = _seconds(now), now.idle + getattr(now, "iowait", 0.0)
        passed -= _seconds(self._times)
        idle -= self._times.idle + getattr(self._times, "iowait", 0.0)
        if passed >= SHORTEST:
            self._times, self._busy = now, min(1.0, max(0.0, 1 - idle / passed))
        return self._busy

    def _of_nvidia(self, uuid: str, known: DeviceUse) -> DeviceUse:
        """Ask NVIDIA's driver; of one that is away, or was exchanged, the next look asks anew."""
        import pynvml  # 3 MiB, which a worker on the processor does without

        try:
            if self._gpu is None:
                pynvml.nvmlInit()
                self._gpu = _gpu(pynvml, uuid)
            memory = pynvml.nvmlDeviceGetMemoryInfo(self._gpu)
        except pynvml.NVMLError:
            self._gpu = None
            return known
        use = DeviceUse(int(memory.total), int(memory.used))
        try:
            rates = pynvml.nvmlDeviceGetUtilizationRates(self._gpu)
        except pynvml.NVMLError:  # a part of a GPU has no such number
            return use
        return use._replace(utilisation=rates.gpu / 100)


def _seconds(times: Any) -> float:
    """Return all of a processor's time; a guest's is counted in its host's already."""
    return float(sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0))


def _gpu(pynvml: Any, uuid: str) -> Any:
    try:
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except pynvml.NVMLError_NotFound:
        return pynvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")
