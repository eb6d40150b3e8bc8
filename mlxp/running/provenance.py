"""Where a run came from: the machine, the process, the code's version and the packages in use."""

import contextlib
import functools
import os
import re
import socket
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from mlxp.run_directory.layout import STORE_DIR
from mlxp.running.code_state import CodeState, Extent, differences
from mlxp.running.code_state import capture as capture_code
from mlxp.running.copies import current_copy
from mlxp.running.environment import environment
from mlxp.running.private_git import GitError

_CODE: Final = re.compile(
    r"\.(py|pyi|pyx|pxd|so|pyd|ya?ml|toml|cfg|ini|conf|sh|bash|c|cc|cpp|cxx|h|hpp|cu|cuh|jl|r|lua|sql|j2|jinja2?)$"
    r"|(^|/)(makefile|dockerfile)$",
    re.IGNORECASE,
)
"""The names of files that are code or configuration, though git may not track them."""

_MOST_CHANGED: Final = 100
"""The largest number of changed files that is recorded."""


def process_info() -> dict[str, Any]:
    """Return the interpreter, host and id of this process."""
    return {
        "executable": sys.executable,
        "hostname": socket.gethostname(),
        "process_id": os.getpid(),
    }


def made_from(
    directory: Path, parent_log_dir: Path | None, *, capture: bool, submitted: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return what info.yaml says about the code and the environment, after storing both beside the runs.

    Parameters
    ----------
    directory
        The directory of the file that defines the task.
    parent_log_dir
        The directory of the runs; None to store nothing.
    capture
        Whether to record anything at all; see the setting of that name.
    submitted
        What was known about the code when the run was submitted, or when the copy was made that it is executed in.

    Returns
    -------
    dict
        ``git``: ``commit``, ``branch``, ``remote`` and ``dirty``; None outside of git. ``code``: the ``state`` as a
        content address, the ``top`` directory that was stored, the task's ``directory`` in it, and what was
        ``left_out``; or the ``problem`` that kept it from being stored. ``code_changed``: whether the state is another
        one than that of the submission; None if that is unknown. ``environment``: see `environment`.
    """
    if not capture:
        return {"git": None, "code": None, "code_changed": None, "environment": None}
    store = parent_log_dir / STORE_DIR if parent_log_dir is not None else None
    return {**_code(directory, store, submitted or {}), **_environment(store, directory)}


def _environment(store: Path | None, directory: Path) -> dict[str, Any]:
    try:
        return {"environment": environment(store, directory)}
    except Exception as error:  # noqa: BLE001 - a strange package, a full disk: no reason not to do the run
        return {"environment": {"problem": f"{type(error).__name__}: {error}"}}


def _code(directory: Path, store: Path | None, submitted: dict[str, Any]) -> dict[str, Any]:
    try:
        state, changed = _state(directory, store, str(submitted.get("state") or ""))
    except (GitError, OSError, ValueError) as error:  # no reason not to do the run
        return {"git": None, "code": {"problem": str(error)}, "code_changed": None}
    copy = current_copy()
    is_copy = copy is not None and copy.holds(state.top)
    # A copy has no branch of its own, and what was untracked is tracked in it.
    git = submitted if is_copy and "commit" in submitted else state.facts()
    code = {
        "state": state.tree if store else None,
        "top": str(copy.of if copy and is_copy else state.top),
        "copy": str(copy.path) if copy and is_copy else None,
        "directory": directory.relative_to(state.top).as_posix(),
        "left_out": list(submitted.get("left_out") or []) if is_copy else list(state.left_out),
    }
    return {
        "git": {name: git.get(name) for name in ("commit", "branch", "remote", "dirty")} if state.commit else None,
        "code": {**code, "changed": list(changed)[:_MOST_CHANGED]} if changed else code,
        "code_changed": changed != () if submitted.get("state") else None,
    }


@functools.cache  # a process runs the code as it was when it was imported
def _state(directory: Path, store: Path | None, submitted: str) -> tuple[CodeState, tuple[str, ...] | None]:
    """Return the state of the code, and the files that make it another one; None if it is not known which they are."""
    copy = current_copy()
    in_copy = copy is not None and copy.holds(directory)
    with contextlib.ExitStack() as stack:
        kept = store or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mlxp-store-")))
        # What runs write into a copy is not its code.
        extent = Extent.TRACKED if in_copy else Extent.ALL
        state = capture_code(directory, kept, [kept.parent] if store else [], extent)
        if submitted in ("", state.tree):
            return state, ()
        names = differences(kept, submitted, state.tree)
        return state, None if names is None else tuple(name for name in names if _counts(name, state))


def is_code(name: str) -> bool:
    """Tell whether a file is code or configuration, by its name."""
    return _CODE.search(name) is not None


def _counts(name: str, state: CodeState) -> bool:
    """Tell whether another content of a file makes the code another one; what else runs write beside it does not."""
    is_tracked = name in state.changed or (os.path.lexists(state.top / name) and name not in state.untracked)
    return is_tracked or is_code(name)


def packages() -> list[str]:
    """Return ``name==version`` for each imported top-level module that states its version, in alphabetical order."""
    names = [name for name in sys.modules if "." not in name and not name.startswith("_")]
    versions = {name: _version(sys.modules[name]) for name in names if name not in sys.stdlib_module_names}
    return sorted(f"{name}=={version}" for name, version in versions.items() if version)


def _version(module: ModuleType) -> str | None:
    # Looked up in the namespace, since asking the module could import what it loads lazily.
    version = getattr(module, "__dict__", {}).get("__version__")
    return version if isinstance(version, str) else None
