"""What a worker says of its device. No GPU is here: NVIDIA's library is a stand-in in C, which the
real Python package loads and calls."""

import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from db.reads import queries
from engine.runtime import FoundDevice
from tasks.worker import housekeeping
from tasks.worker.gauge import DeviceUse, Gauge

UUID = "6b0f5a86-1111-2222-3333-444455556666"
LIBRARY = """
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static int away(void) { return access("away", F_OK) == 0; }
static int lost;  /* a driver that was away is asked anew */
int nvmlInitWithFlags(unsigned flags) { lost = away(); return lost ? 9 : 0; }
int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    *handle = (void *)1;
    return strcmp(uuid, "%s") ? 6 : 0;
}
int nvmlDeviceGetMemoryInfo(void *handle, unsigned long long *told) {
    lost = lost || away();
    if (lost) return 999;
    told[0] = 80ull << 30; told[1] = 77ull << 30; told[2] = 3ull << 30;
    return 0;
}
int nvmlDeviceGetUtilizationRates(void *handle, unsigned *told) {
    told[0] = 42; told[1] = 7;
    return strncmp("%s", "MIG", 3) ? 0 : 3;
}
const char *nvmlErrorString(int code) { return "no"; }
"""
READS = f"""
import sys
from pathlib import Path
from engine.runtime import FoundDevice
from tasks.worker.gauge import Gauge
gauge, away = Gauge(), Path("away")
found = FoundDevice("cuda:1", "a GPU", {UUID!r}, 99)
for is_away in (True, False, False, True, False):
    away.touch() if is_away else away.unlink(missing_ok=True)
    print(*gauge.read(found))
print("torch" in sys.modules)
"""


@pytest.mark.parametrize(("kind", "busy"), [("GPU", "0.42"), ("MIG", "None")])
def test_a_gpu_is_asked_by_its_uuid_and_a_driver_that_is_away_leaves_what_torch_said(
    tmp_path, kind, busy
):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler for the stand-in")
    source = tmp_path / "nvml.c"
    source.write_text(LIBRARY % (f"{kind}-{UUID}", kind))
    words = [compiler, "-shared", "-fPIC", "-o", "libnvidia-ml.so.1", source.name]
    subprocess.run(words, cwd=tmp_path, check=True)
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", READS],
        cwd=tmp_path,
        env={"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    known, use = "99 None None", f"{80 << 30} {3 << 30} {busy}"
    assert done.stderr == ""
    assert done.stdout.splitlines() == [known, use, use, known, use, "False"]


def test_without_a_driver_or_a_uuid_a_gpu_has_the_memory_that_torch_said():
    assert Gauge().read(FoundDevice("cuda:0", "a GPU", "", 99)) == DeviceUse(99)
    assert Gauge().read(FoundDevice("cuda:0", "a GPU", UUID, 99)) == DeviceUse(99)


def test_a_processor_tells_the_machines_memory_and_from_the_second_look_how_busy_it_is():
    gauge, cpu = Gauge(), FoundDevice("cpu", "a processor")
    first = gauge.read(cpu)
    assert first.memory_total == psutil.virtual_memory().total
    assert 0 < first.memory_used < first.memory_total
    assert first.utilisation is None
    while (busy := gauge.read(cpu).utilisation) is None:
        sum(range(10**5))
    assert 0 <= busy <= 1
    assert gauge.read(cpu).utilisation == busy  # too soon for another


def test_a_busy_processor_is_told_busy_and_an_idle_one_idle(monkeypatch):
    def after(**seconds: float) -> float:
        gauge = Gauge()
        before = psutil.cpu_times()
        moved = {name: getattr(before, name) + more for name, more in seconds.items()}
        monkeypatch.setattr(psutil, "cpu_times", lambda: before._replace(**moved))
        monkeypatch.setattr(gauge, "_times", before)
        told = gauge.read(FoundDevice("cpu", "a processor")).utilisation
        monkeypatch.undo()
        return told

    assert after(user=8.0, guest=8.0) == pytest.approx(1)
    assert after(idle=7.0, iowait=1.0) == pytest.approx(0)
    assert after(user=1.0, system=1.0, idle=6.0) == pytest.approx(0.25)


def test_what_a_device_said_stands_in_the_workers_row(studio):
    presence = housekeeping.Presence()
    row = None
    while row is None or row.utilisation is None:
        presence.report()
        with studio.database.read() as session:
            (row,) = queries.workers(session)
    assert row.memory_total == psutil.virtual_memory().total
    assert 0 < row.memory_used < row.memory_total
    assert 0 <= row.utilisation <= 1
