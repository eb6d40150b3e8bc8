"""Finds the classes that settings name, MLXP's own or a user's, compares them with their settings and creates them."""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

from mlxp.errors import InvalidConfigFileError
from mlxp.run_directory.import_paths import imported

_BASES = {"logger": "mlxp.logger:Logger", "version_manager": "mlxp.version_manager:VersionManager"}
"""The class that one named in a group of settings must be a child of. Found by name, since a run needs few of them."""


def class_named(name: str, group: str) -> Any:
    """Return the class that the setting ``mlxp.<group>.name`` names.

    `name` is a class of MLXP, such as ``DefaultLogger`` or ``mlxp.DefaultLogger``, or the import path of the user's
    own: ``package.module.Class``.

    Raises
    ------
    InvalidConfigFileError
        If there is no such class, or if it does not serve that purpose.
    """
    base = imported(_BASES[group])
    try:
        found = imported(name if "." in name else f"{base.__module__}:{name}")
    except ImportError as error:
        raise InvalidConfigFileError(
            f"the setting mlxp.{group}.name is {name!r}, which cannot be imported: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InvalidConfigFileError(
            f"the setting mlxp.{group}.name is {name!r}, which is not a subclass of mlxp.{base.__name__}"
        )
    return found


@functools.cache  # a sweep asks for each run
def parameters(cls: type) -> frozenset[str] | None:
    """Return the names of the parameters that a class takes when it is created; None if it takes any."""
    found = inspect.signature(cls).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in found):
        return None
    return frozenset(parameter.name for parameter in found)


def created(group: str, name: str, arguments: Mapping[str, Any]) -> Any:
    """Return an instance of the class that ``mlxp.<group>.name`` names, created with the arguments that it takes."""
    cls = class_named(name, group)
    known = parameters(cls)
    return cls(**{key: value for key, value in arguments.items() if known is None or key in known})
