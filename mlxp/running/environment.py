"""The environment of a run: the machine, the switches that make numbers repeatable, and the installed packages.

Nothing is started or imported to find it out: libraries are asked only if the program has imported them. The list of
packages is long and nearly always the same, so each distinct list is written once, under its content address.
"""

import functools
import hashlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mlxp.run_directory.files import read_yaml, write_atomically, write_yaml
from mlxp.running.secrets import masked

ENVIRONMENTS: Final = "environments"
"""The folder of the lists of packages inside the store."""

_VARIABLES: Final = frozenset(
    {
        *(
            "OMP_NUM_THREADS",
            "MKL_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "NUMEXPR_NUM_THREADS",
            "VECLIB_MAXIMUM_THREADS",
        ),
        *("OPENBLAS_CORETYPE", "MKL_CBWR", "NPY_DISABLE_CPU_FEATURES", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA"),
        *("PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TF_DETERMINISTIC_OPS", "XLA_FLAGS"),
        *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CONDA_DEFAULT_ENV", "LOADEDMODULES"),
        *("SLURM_JOB_PARTITION", "SLURM_CPUS_PER_TASK", "SLURM_NTASKS", "SLURM_JOB_NUM_NODES", "SLURM_MEM_PER_NODE"),
        *(
            "SLURM_MEM_PER_CPU",
            "SLURM_JOB_GPUS",
            "SLURM_GPUS_ON_NODE",
            "NSLOTS",
            "QUEUE",
            "PBS_QUEUE",
            "PBS_NUM_PPN",
            "NCPUS",
        ),
        *("LSB_QUEUE", "LSB_DJOB_NUMPROC", "OAR_JOB_WALLTIME"),
    }
)
"""The environment variables that are recorded; no others are, since they may hold secrets and private names."""


def environment(store: Path | None) -> dict[str, Any]:
    """Return the environment of the run, after writing the list of packages to the store if it is new.

    Parameters
    ----------
    store
        The folder, beside the runs, of what they were made from; None to write nothing.

    Returns
    -------
    dict
        ``platform``, ``cpu``, ``cpus`` (how many the process may use), ``gpus``, ``gpu_driver``, ``variables``,
        ``switches`` (see `switches`), ``prefix`` and ``packages``: the content address of the list of packages.
    """
    return {
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpus": _gpus(),
        "gpu_driver": _gpu_driver(),
        "variables": {name: masked(os.environ[name]) for name in sorted(_VARIABLES & os.environ.keys())},
        "switches": switches(),
        "prefix": sys.prefix,
        "packages": _kept_packages(store) if store is not None else None,
    }


def switches(modules: Mapping[str, Any] = sys.modules) -> dict[str, Any]:
    """Return the settings of imported libraries that decide whether numbers repeat; a task may change them.

    Examples
    --------
    >>> switches({})
    {}
    """
    torch = modules.get("torch")
    if torch is None or not hasattr(torch, "are_deterministic_algorithms_enabled"):
        return {}
    return {
        "torch.deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "torch.num_threads": torch.get_num_threads(),
        "torch.backends.cudnn.deterministic": torch.backends.cudnn.deterministic,
        "torch.backends.cudnn.benchmark": torch.backends.cudnn.benchmark,
        "torch.float32_matmul_precision": torch.get_float32_matmul_precision(),
    }


def packages_of(store: Path, address: str) -> list[str]:
    """Return the list of packages with that content address; an empty list if it is not there."""
    content = read_yaml(store / ENVIRONMENTS / f"{address}.yaml")
    return content["packages"] if isinstance(content, dict) and isinstance(content.get("packages"), list) else []


@functools.cache
def _cpu() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or None
    names = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(names, None) or platform.machine()


def _gpus() -> list[str]:
    """Return the model of each GPU, as NVIDIA's driver reports it in /proc."""
    files = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    texts = [_first_bytes(file) for file in files]
    return [line.partition(":")[2].strip() for text in texts for line in text.splitlines() if line.startswith("Model:")]


def _gpu_driver() -> str | None:
    return next(iter(_first_bytes(Path("/proc/driver/nvidia/version")).splitlines()), None)


def _first_bytes(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(4096).decode(errors="replace")
    except OSError:
        return ""


def _kept_packages(store: Path) -> str:
    """Return the content address of the list of packages; it is determined anew only after an installation."""
    folder = store / ENVIRONMENTS
    key = hashlib.sha256(_state_of_installation().encode(errors="surrogateescape")).hexdigest()[:20]
    known = folder / f"{key}.known"
    try:
        address = known.read_text(encoding="ascii")
        if (folder / f"{address}.yaml").is_file():
            return address
    except (OSError, ValueError):
        pass
    content = {"python": sys.version, "packages": _installed()}
    address = hashlib.sha256(repr(content).encode()).hexdigest()[:20]
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / f"{address}.yaml").is_file():
        write_yaml(folder / f"{address}.yaml", content)
    write_atomically(known, address)
    return address


def _state_of_installation() -> str:
    """Return a text that changes whenever an installer adds, removes or changes a package."""
    lines = [sys.version]
    for path in sys.path:
        try:
            entries = sorted(
                entry.path for entry in os.scandir(path) if entry.name.endswith((".dist-info", ".egg-info"))
            )
        except OSError:
            continue
        for entry in entries:
            record = os.path.join(entry, "RECORD")  # noqa: PTH118 - of hundreds, at the start of each run
            lines.append(f"{entry} {os.stat(record).st_mtime_ns if os.path.exists(record) else 0}")  # noqa: PTH110, PTH116
    return "\n".join(lines)


def _installed() -> list[str]:
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name and name.lower() not in found:  # the first on the path is the one that is imported
            found[name.lower()] = f"{name}=={distribution.version}{_origin(distribution)}"
    return [found[name] for name in sorted(found)]


def _origin(distribution: importlib.metadata.Distribution) -> str:
    """Return where a package came from, if not from an index: git, or a folder, which may be an editable install."""
    import json

    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return ""
    url = origin.get("url")
    commit = origin.get("vcs_info", {}).get("commit_id")
    return f" @ {masked(url)}{f'@{commit}' if commit else ''}" if url else ""
