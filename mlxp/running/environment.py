"""The environment of a run: the machine, the switches that make numbers repeatable, and the installed packages.

Nothing is started or imported to find it out: libraries are asked only if the program has imported them. The list of
packages is long and nearly always the same, so each distinct list is written once, under its content address.
"""

import contextlib
import functools
import hashlib
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mlxp.run_directory.files import read_yaml, write_atomically, write_yaml
from mlxp.running.installed import installed, state_of_installation
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


_LOCK_FILES: Final = ("uv.lock", "poetry.lock", "pdm.lock", "pixi.lock", "conda-lock.yml")


def environment(store: Path | None, directory: Path | None = None) -> dict[str, Any]:
    """Return the environment of the run, after writing the list of packages to the store if it is new.

    Parameters
    ----------
    store
        The folder, beside the runs, of what they were made from; None to write nothing.
    directory
        The directory of the program, which may have a lock file beside it or above it.

    Returns
    -------
    dict
        ``platform``, ``cpu``, ``cpus`` (how many the process may use), ``gpus``, ``gpu_driver``, ``variables``,
        ``switches`` (see `switches`), ``blas`` (see `blas`), ``prefix``, ``conda`` (the name of the environment; None
        if Python is not conda's), ``lock`` (the ``file`` and its ``sha256``; None if there is none) and ``packages``:
        the content address of the list of packages.
    """
    return {
        "platform": _platform(),
        "cpu": _cpu(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpus": _gpus(),
        "gpu_driver": _gpu_driver(),
        "variables": {name: masked(os.environ[name]) for name in sorted(_VARIABLES & os.environ.keys())},
        "switches": switches(),
        "blas": None,
        "prefix": sys.prefix,
        "conda": _conda(),
        "lock": _lock(directory) if directory is not None else None,
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


def blas(modules: Mapping[str, Any] = sys.modules) -> list[dict[str, Any]] | None:
    """Return which libraries multiply matrices, on how many threads; None if threadpoolctl is not installed.

    Which code such a library chooses for the processor decides the last digits of numbers. Nothing is looked up for
    programs that have not imported a library of numbers.
    """
    if not {"numpy", "scipy", "torch", "sklearn", "jax"} & modules.keys():
        return None
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return None
    shown = ("internal_api", "version", "architecture", "threading_layer", "num_threads")
    return [{name: pool[name] for name in shown if pool.get(name) is not None} for pool in threadpool_info()]


def late_facts() -> dict[str, Any]:
    """Return what is true of the environment only after the task has imported and set what it needs."""
    try:
        return {"switches": switches(), "blas": blas()}
    except Exception:  # noqa: BLE001 - libraries of any version: no reason to end the run in another way
        return {}


def packages_of(store: Path, address: str) -> list[str]:
    """Return the list of packages with that content address; an empty list if it is not there."""
    content = read_yaml(store / ENVIRONMENTS / f"{address}.yaml")
    return content["packages"] if isinstance(content, dict) and isinstance(content.get("packages"), list) else []


def modules_of(store: Path, address: str) -> dict[str, str]:
    """Return which package each top-level module came from, for the packages with that content address."""
    content = read_yaml(store / ENVIRONMENTS / f"{address}.yaml")
    modules = content.get("modules") if isinstance(content, dict) else None
    return {module: name for name, listed in (modules or {}).items() for module in listed}


def _platform() -> str:
    # As platform.platform(), which starts a program to find out what it then leaves out.
    if sys.platform != "linux":
        return platform.platform()
    system = os.uname()
    return "-".join([system.sysname, system.release, system.machine, "with", "".join(platform.libc_ver())])


def _conda() -> str | None:
    if not Path(sys.prefix, "conda-meta").is_dir():
        return None
    return os.environ.get("CONDA_DEFAULT_ENV") or Path(sys.prefix).name


def _conda_packages() -> list[str]:
    """Return what conda installed, other than for Python as well: ``mkl-2023.1.0-h213fc3f_46344``."""
    return sorted(file.stem for file in Path(sys.prefix, "conda-meta").glob("*.json"))


def _lock(directory: Path) -> dict[str, str] | None:
    """Return the lock file of the project that `directory` belongs to."""
    for folder in (directory, *directory.parents):
        for name in _LOCK_FILES:
            if (folder / name).is_file():
                return {"file": name, "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
        if (folder / ".git").exists() or (folder / "pyproject.toml").exists():
            break
    return None


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
    key = hashlib.sha256(state_of_installation().encode(errors="surrogateescape")).hexdigest()[:20]
    known = folder / f"{key}.known"
    try:
        address = known.read_text(encoding="ascii")
        if (folder / f"{address}.yaml").is_file():
            with contextlib.suppress(PermissionError):
                os.utime(folder / f"{address}.yaml")  # so that it counts as new until the run has named it
            return address
    except (OSError, ValueError):
        pass
    packages = installed()
    content = {
        "python": sys.version,
        "packages": [str(package) for package in packages],
        "modules": {package.name: list(package.modules) for package in packages if package.modules},
        "conda": _conda_packages(),
    }
    address = hashlib.sha256(repr(content).encode()).hexdigest()[:20]
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / f"{address}.yaml").is_file():
        write_yaml(folder / f"{address}.yaml", content)
    write_atomically(known, address)
    return address
