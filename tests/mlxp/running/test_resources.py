import subprocess
import sys
from types import SimpleNamespace

import pytest

from mlxp.running import resources
from mlxp.running.resources import Resources


@pytest.fixture
def short_interval(monkeypatch):
    monkeypatch.setattr(resources, "_INTERVAL", 0.05)


def test_processor_time_of_the_process_and_its_children_is_counted():
    with Resources() as used:
        subprocess.run([sys.executable, "-c", "sum(range(10**6))"], check=True)
    assert used.used()["cpu_seconds"] > 0


def test_peak_memory_is_in_bytes():
    with Resources() as used:
        block = bytearray(50_000_000)
    assert used.used()["peak_memory"] > len(block)


# In a process of its own: one that has executed other tests may have needed more memory itself.
WITH_A_CHILD = """
import subprocess, sys, time
from mlxp.running import resources

resources._INTERVAL = 0.05
child_program = "import sys; block = bytearray(400_000_000); print('ready', flush=True); sys.stdin.read()"
with resources.Resources() as used:
    child = subprocess.Popen([sys.executable, "-c", child_program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    while used.used()["peak_memory"] < 400_000_000:
        time.sleep(0.01)
    child.communicate()
"""


def test_memory_of_a_child_is_counted_while_it_lives():
    pytest.importorskip("psutil", reason="without psutil, the memory of children is NOT tested")
    subprocess.run([sys.executable, "-c", WITH_A_CHILD], check=True, timeout=60)


def test_gpus_that_the_process_may_use_are_watched(short_interval, monkeypatch):
    seen = []

    def look(handle):
        seen.append(handle)
        return SimpleNamespace(used=len(seen) * 1000)

    nvml = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 3,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda handle: f"GPU {handle}".encode(),
        nvmlDeviceGetUUID=lambda handle: f"GPU-{handle}f3a",
        nvmlDeviceGetMemoryInfo=look,
        nvmlDeviceGetUtilizationRates=lambda _: SimpleNamespace(gpu=50),
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-2f,0")
    with Resources() as used:
        while len(seen) < 4:
            pass
    found = used.used()["gpus"]
    assert [(gpu["name"], gpu["utilization"]) for gpu in found] == [("GPU 2", 50.0), ("GPU 0", 50.0)]
    assert all(gpu["peak_memory"] >= 1000 for gpu in found)


def test_machine_without_a_gpu_has_none(short_interval):
    with Resources() as used:
        pass
    assert used.used()["gpus"] == []
