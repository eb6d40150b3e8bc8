"""Where a run came from: the machine, the process, the code's version and the packages in use."""

import contextlib
import functools
import os
import socket
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from mlxp.run_directory.layout import STORE_DIR
from mlxp.running.code_state import capture as capture_code
from mlxp.running.environment import environment
from mlxp.running.private_git import GitError

RERUN_OF: Final = "MLXP_RERUN_OF"
"""Environment variable that holds the id of the run that is rerun; the new run is beside it."""

COPY_OF: Final = "MLXP_COPY_OF"
"""Environment variable that holds the directory in whose copy the program is to run."""


def taken_rerun_of() -> int | None:
    """Return the id of the run that this one reruns, but only once: what the program starts in turn is not a rerun."""
    log_id = os.environ.pop(RERUN_OF, "")
    return int(log_id) if log_id.isdigit() else None


def modules_beside(copy: Path) -> list[str]:
    """Return the imported modules that come from the original directory of `copy`; none if it is not a copy.

    Python was told to look in the copy first. Some installations, and ``python -I``, ignore that.
    """
    original = os.environ.get(COPY_OF)
    if original is None:
        return []
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    return sorted(
        name for name, file in files.items() if file and _is_beside(Path(os.path.realpath(file)), original, copy)
    )


def _is_beside(file: Path, original: str, copy: Path) -> bool:
    top = os.path.realpath(original)
    return (
        file.is_relative_to(top)
        and not file.is_relative_to(os.path.realpath(copy))
        and not file.is_relative_to(os.path.realpath(sys.prefix))
        and not {"site-packages", "dist-packages"} & set(file.parts)
    )


def process_info() -> dict[str, Any]:
    """Return the interpreter, host and id of this process."""
    return {
        "executable": sys.executable,
        "hostname": socket.gethostname(),
        "process_id": os.getpid(),
    }


def made_from(directory: Path, parent_log_dir: Path | None, *, capture: bool) -> dict[str, Any]:
    """Return what info.yaml says about the code and the environment, after storing both beside the runs.

    Parameters
    ----------
    directory
        The directory of the file that defines the task.
    parent_log_dir
        The directory of the runs; None to store nothing.
    capture
        Whether to record anything at all; see the setting of that name.

    Returns
    -------
    dict
        ``git``: ``commit``, ``branch``, ``remote`` and ``dirty``; None outside of git. ``code``: the ``state`` as a
        content address, the ``top`` directory that was stored, the task's ``directory`` in it, and what was
        ``left_out``; or the ``problem`` that kept it from being stored. ``environment``: see `environment`.
    """
    if not capture:
        return {"git": None, "code": None, "environment": None}
    store = parent_log_dir / STORE_DIR if parent_log_dir is not None else None
    return {**_code(directory, store), **_environment(store, directory)}


def _environment(store: Path | None, directory: Path) -> dict[str, Any]:
    try:
        return {"environment": environment(store, directory)}
    except Exception as error:  # noqa: BLE001 - a strange package, a full disk: no reason not to do the run
        return {"environment": {"problem": f"{type(error).__name__}: {error}"}}


@functools.cache  # a process runs the code as it was when it was imported
def _code(directory: Path, store: Path | None) -> dict[str, Any]:
    try:
        with contextlib.ExitStack() as stack:
            kept = store or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mlxp-store-")))
            state = capture_code(directory, kept, [kept.parent] if store else [])
    except (GitError, OSError, ValueError) as error:  # no reason not to do the run
        return {"git": None, "code": {"problem": str(error)}}
    git = {"commit": state.commit, "branch": state.branch, "remote": state.remote, "dirty": state.dirty}
    code = {
        "state": state.tree if store else None,
        "top": os.environ.get(COPY_OF, str(state.top)),
        "copy": str(state.top) if COPY_OF in os.environ else None,
        "directory": directory.relative_to(state.top).as_posix(),
        "left_out": list(state.left_out),
    }
    return {"git": git if state.commit else None, "code": code}


def packages() -> list[str]:
    """Return ``name==version`` for each imported top-level module that states its version, in alphabetical order."""
    names = [name for name in sys.modules if "." not in name and not name.startswith("_")]
    versions = {name: _version(sys.modules[name]) for name in names if name not in sys.stdlib_module_names}
    return sorted(f"{name}=={version}" for name, version in versions.items() if version)


def _version(module: ModuleType) -> str | None:
    # Looked up in the namespace, since asking the module could import what it loads lazily.
    version = getattr(module, "__dict__", {}).get("__version__")
    return version if isinstance(version, str) else None
