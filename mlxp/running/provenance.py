"""Where a run came from: the machine, the process, the code's version and the packages in use."""

import functools
import os
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from mlxp.programs import ProgramError, run_program


def process_info() -> dict[str, Any]:
    """Return interpreter, host and number of this process."""
    return {
        "executable": sys.executable,
        "hostname": socket.gethostname(),
        "process_id": os.getpid(),
    }


@functools.cache
def git_state(directory: Path) -> dict[str, Any] | None:
    """Return the commit of the code in `directory` and whether tracked files differ from it; None outside of git.

    The answer is kept for the life of the process, which runs the code as it was when it was imported.
    """
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = run_program(command, seconds=10, directory=directory)
    except ProgramError:
        return None
    if answer.code:
        return None
    commit, _, dirty = answer.output.strip().partition("-")
    return {"commit": commit, "dirty": bool(dirty)}


def packages() -> list[str]:
    """Return ``name==version`` for each imported top-level module that states its version, in alphabetical order."""
    names = [name for name in sys.modules if "." not in name and not name.startswith("_")]
    versions = {name: _version(sys.modules[name]) for name in names if name not in sys.stdlib_module_names}
    return sorted(f"{name}=={version}" for name, version in versions.items() if version)


def _version(module: ModuleType) -> str | None:
    # Looked up in the namespace, since asking the module could import what it loads lazily.
    version = getattr(module, "__dict__", {}).get("__version__")
    return version if isinstance(version, str) else None
