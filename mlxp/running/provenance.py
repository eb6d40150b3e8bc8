"""Where a run came from: the machine, the process, the code's version and the packages in use."""

import contextlib
import functools
import os
import socket
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from mlxp.run_directory.layout import STORE_DIR
from mlxp.running.code_state import capture as capture_code
from mlxp.running.environment import environment
from mlxp.running.private_git import GitError


def process_info() -> dict[str, Any]:
    """Return interpreter, host and number of this process."""
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
        Whether to look at all; see the setting of that name.

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
    return {**_code(directory, store), **_environment(store)}


def _environment(store: Path | None) -> dict[str, Any]:
    try:
        return {"environment": environment(store)}
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
        "top": str(state.top),
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
