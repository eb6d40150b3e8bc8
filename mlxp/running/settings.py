"""The settings of MLXP: their defaults, and the check of what the user set.

Hydra composes them as the key ``mlxp`` of the configuration: the defaults below, then ``mlxp.yaml``, then ``mlxp:``
in the configuration, then the command line. Here they are only checked: names against `DEFAULTS`, types against its
values.
"""

import difflib
import functools
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlxp.errors import InvalidConfigFileError
from mlxp.run_directory.import_paths import imported

DEFAULTS: dict[str, Any] = {
    "logger": {
        "name": "DefaultLogger",
        "parent_log_dir": "./logs",
        "forced_log_id": -1,
        "log_streams_to_file": False,
    },
    "version_manager": {
        "name": "GitVM",
        "parent_work_dir": "./.work_dir",
        "compute_requirements": False,
    },
    "scheduler": {
        "name": "NoScheduler",
        "shell_path": "/bin/bash",
        "option_cmd": [],
        "shell_config_cmd": [],
        "cleanup_cmd": [],
        "env_cmd": [],
        "before_cmd": [],
        "post_cmd": [],
    },
    "use_version_manager": False,
    "use_scheduler": False,
    "use_logger": True,
    "interactive_mode": True,
    "resolve": True,
    "as_ConfigDict": True,
    "heartbeat": 30.0,
}
"""Every setting with its default. The type of the default is the type of the setting.

``logger`` and ``version_manager`` may hold more: the options of a user's own class. ``scheduler`` says what the script
of a job holds; self_submission.py writes it. ``heartbeat`` is the number of seconds between two signs of life of a run.
"""

PATHS = (("logger", "parent_log_dir"), ("version_manager", "parent_work_dir"))
"""The settings that are paths; relative ones are relative to the file that defines the task."""

_KINDS: dict[type, tuple[str, Callable[[Any], bool]]] = {
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    float: ("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    str: ("a text", lambda value: isinstance(value, str)),
    list: ("a text or a list of texts", lambda value: all(isinstance(item, str) for item in lines(value))),
    dict: ("a group of settings", lambda value: isinstance(value, Mapping)),
}


def lines(value: Any) -> list[Any]:
    """Return the items of a setting that is a list of texts, where one text may be given for a list of one.

    Examples
    --------
    >>> lines(["module load cuda", "conda activate ml"]), lines("conda activate ml"), lines("")
    (['module load cuda', 'conda activate ml'], ['conda activate ml'], [])
    """
    if isinstance(value, list | tuple):
        return list(value)
    return [] if value in ("", None) else [value]


def check(settings: Any) -> None:
    """Check every name, type and class; what is still an interpolation is left for later.

    Parameters
    ----------
    settings
        All settings, as Hydra composed them; None for the defaults.

    Raises
    ------
    InvalidConfigFileError
        If a setting is unknown or of another type than its default, or if a class cannot be found.
    """
    if settings is not None and not isinstance(settings, Mapping):
        raise InvalidConfigFileError(f"mlxp must be a group of settings, not {settings!r}")
    complete = _checked_group(settings or {}, DEFAULTS, "mlxp")
    for group in ("logger", "version_manager"):
        if not _is_interpolation(complete[group]) and not _is_interpolation(complete[group]["name"]):
            _check_options(group, complete[group])
    _check_scheduler(complete)
    if not _is_interpolation(complete["heartbeat"]) and complete["heartbeat"] < 0:
        raise InvalidConfigFileError(f"the setting mlxp.heartbeat is a number of seconds, not {complete['heartbeat']}")


def _check_scheduler(complete: Mapping[str, Any]) -> None:
    scheduler = complete["scheduler"]
    if _is_interpolation(scheduler):
        return
    for name in scheduler:
        _check_known(name, DEFAULTS["scheduler"], "mlxp.scheduler.")
    if complete["use_scheduler"] is True and not _is_interpolation(scheduler["name"]):
        from mlxp.scheduler import SCHEDULERS, scheduler_named

        if scheduler["name"] == DEFAULTS["scheduler"]["name"]:
            raise InvalidConfigFileError(
                "the setting mlxp.use_scheduler is true, but mlxp.scheduler.name is not set; "
                f"set it to one of {', '.join(SCHEDULERS)}"
            )
        scheduler_named(scheduler["name"])


def checked(settings: Any, base_dir: Path) -> dict[str, Any]:
    """Return the settings, complete and with absolute paths, after a `check`.

    Parameters
    ----------
    settings
        All settings, as Hydra composed and resolved them; None for the defaults.
    base_dir
        What relative paths are relative to.
    """
    check(settings)
    complete = _checked_group(settings or {}, DEFAULTS, "mlxp")
    for group, name in PATHS:
        path = os.path.expanduser(complete[group][name])  # noqa: PTH111 - a str in, a str out
        complete[group][name] = os.path.normpath(base_dir / path)
    return complete


def _is_interpolation(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def check_names(settings: Any, where: str) -> None:
    """Check the names alone, for a file whose values may still hold interpolations.

    Raises
    ------
    InvalidConfigFileError
        If `settings` is not a mapping, or holds an unknown name; the message says `where`.
    """
    if settings is None:
        return
    if not isinstance(settings, Mapping):
        raise InvalidConfigFileError(f"{where} must hold settings of the form 'name: value', not {settings!r}")
    for name in settings:
        _check_known(name, DEFAULTS, "", where=f" in {where}")


def _checked_group(given: Mapping[str, Any], defaults: Mapping[str, Any], path: str) -> dict[str, Any]:
    result: dict[str, Any] = {**defaults, **given}
    for name, value in result.items():
        if name not in defaults:
            if defaults is DEFAULTS:
                _check_known(name, defaults, f"{path}.")
            continue
        default = defaults[name]
        kind, is_kind = _KINDS[type(default)]
        if _is_interpolation(value):
            continue
        if not is_kind(value):
            raise InvalidConfigFileError(f"the setting {path}.{name} must be {kind}, not {value!r}")
        if isinstance(default, dict):
            result[name] = _checked_group(value, default, f"{path}.{name}")
    return result


def _check_known(name: str, known: Mapping[str, Any], prefix: str, where: str = "") -> None:
    if name in known:
        return
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean {prefix}{near[0]}?" if near else f"the settings are: {', '.join(known)}"
    raise InvalidConfigFileError(f"unknown setting {prefix}{name}{where}; {hint}")


def _check_options(group: str, settings: Mapping[str, Any]) -> None:
    options = _options(class_named(settings["name"], group))
    if options is not None:
        for name in settings:
            _check_known(name, dict.fromkeys([*DEFAULTS[group], *options]), f"mlxp.{group}.")


@functools.cache  # a sweep asks for each run
def _options(cls: type) -> list[str] | None:
    """Return the names of the options that a class is created with; None if it takes any."""
    parameters = inspect.signature(cls).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [parameter.name for parameter in parameters]


def created(group: str, settings: Mapping[str, Any]) -> Any:
    """Return the object that the settings of `group` describe: an instance of the class they name."""
    cls = class_named(settings["name"], group)
    options = _options(cls)
    taken = {name: value for name, value in settings.items() if name != "name" and (options is None or name in options)}
    return cls(**taken)


def class_named(name: str, group: str) -> Any:
    """Return the class that the setting ``mlxp.<group>.name`` names.

    `name` is a class of MLXP, such as ``DefaultLogger`` or ``mlxp.DefaultLogger``, or the import path of the user's
    own: ``package.module.Class``.

    Raises
    ------
    InvalidConfigFileError
        If there is no such class, or if it is not one for that purpose.
    """
    import mlxp

    base = {"logger": mlxp.Logger, "version_manager": mlxp.VersionManager}[group]
    try:
        found = imported(name if "." in name else f"mlxp.{name}")
    except ImportError as error:
        raise InvalidConfigFileError(
            f"the setting mlxp.{group}.name is {name!r}, which cannot be imported: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InvalidConfigFileError(
            f"the setting mlxp.{group}.name is {name!r}, which is not a child of mlxp.{base.__name__}"
        )
    return found
