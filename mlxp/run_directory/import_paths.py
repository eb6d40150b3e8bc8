"""Import paths: how a function or class is named so that another program finds it."""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlxp.errors import InvalidArtifactError


def import_path(function: Callable[..., Any]) -> str:
    """Return ``module:name``, by which another program can import `function`.

    Raises
    ------
    InvalidArtifactError
        If no other program could import it: a lambda, a function inside a function, or one typed in a notebook.
    """
    name = getattr(function, "__qualname__", repr(function))
    path = f"{_module_name(function)}:{name}"
    try:
        found = imported(path)
    except (ImportError, ValueError):
        found = None
    if found is not function:
        raise InvalidArtifactError(
            f"{name} cannot be imported by a program that reads the artifact later; "
            "give a function at the top level of a module (a .py file)"
        )
    return path


def import_directory(function: Callable[..., Any]) -> str | None:
    """Return the directory that the module of `function` is imported from; None if the module is not a file."""
    module = sys.modules[function.__module__]
    file = getattr(module, "__file__", None)
    if file is None:
        return None
    levels = (_module_name(function) or "").count(".") + (Path(file).name == "__init__.py")
    return str(Path(os.path.abspath(file)).parents[levels])  # noqa: PTH100 - follow no symbolic links


def _module_name(function: Callable[..., Any]) -> str | None:
    module: str | None = getattr(function, "__module__", None)
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    if main.__spec__ is not None:  # python -m package.module
        return main.__spec__.name
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else None


def imported(path: str) -> Any:
    """Import and return what `path`, of the form ``module:name`` or ``module.name``, names.

    Raises
    ------
    ImportError
        If there is no such module, or no such name in it.

    Examples
    --------
    >>> imported("os.path:basename")("a/b")
    'b'
    """
    module_name, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    if not module_name:
        raise ImportError(f"'{path}' is not of the form package.module.name")
    found: Any = _module(module_name)
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        raise ImportError(f"there is no {name} in the module {module_name}") from error
    return found


def _module(name: str) -> Any:
    # The running script is known as __main__; importing it under its own name would execute it again.
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    names = {main.__spec__.name} if main.__spec__ is not None else {Path(file).stem} if file else set()
    if name in names and name not in sys.modules:
        return main
    return importlib.import_module(name)
