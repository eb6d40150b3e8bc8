"""The settings of MLXP: their defaults, the check of what the user set, and the values that the rest of MLXP reads.

Hydra composes them as the key ``mlxp`` of the configuration: the defaults below, then ``mlxp.yaml``, then ``mlxp:``
in the configuration, then the command line. Here they are checked: names against `DEFAULTS`, types against its values.
"""

import difflib
import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mlxp.errors import InvalidConfigFileError
from mlxp.run_directory.batches import is_batch_name
from mlxp.running.plug_ins import class_named, parameters


class _Group:
    """Settings under one name; `options` holds those that only the user's own class knows."""

    def to_dict(self) -> dict[str, Any]:
        """Return the settings by name, as mlxp.yaml holds them.

        Examples
        --------
        >>> LoggerSettings(options={"colour": "red"}).to_dict()["colour"]
        'red'
        """
        own = {one.name: _plain(getattr(self, one.name)) for one in fields(self) if one.name != "options"}  # type: ignore[arg-type] # children are dataclasses
        return {**own, **getattr(self, "options", {})}

    def arguments(self) -> dict[str, Any]:
        """Return the arguments with which the named class is created."""
        return {name: value for name, value in self.to_dict().items() if name != "name"}


@dataclass(frozen=True)
class LoggerSettings(_Group):
    """The settings under ``mlxp.logger``; `options` are the parameters of the user's own class."""

    name: str = "DefaultLogger"
    parent_log_dir: str = "./logs"
    forced_log_id: int = -1
    log_streams_to_file: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class VersionManagerSettings(_Group):
    """The settings under ``mlxp.version_manager``; `options` are the parameters of the user's own class."""

    name: str = "GitVM"
    parent_work_dir: str = "./.work_dir"
    compute_requirements: bool = False
    dirty: str = "include"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SchedulerSettings(_Group):
    """The settings under ``mlxp.scheduler``: what the script of a job holds."""

    name: str = "NoScheduler"
    shell_path: str = "/bin/bash"
    option_cmd: tuple[str, ...] = ()
    shell_config_cmd: tuple[str, ...] = ()
    cleanup_cmd: tuple[str, ...] = ()
    env_cmd: tuple[str, ...] = ()
    before_cmd: tuple[str, ...] = ()
    post_cmd: tuple[str, ...] = ()


@dataclass(frozen=True)
class IdentitySettings(_Group):
    """The settings under ``mlxp.identity``: what makes a run the same as another; see `mlxp.run_directory.identity`."""

    exclude: tuple[str, ...] = ()
    assume: Mapping[str, Any] = field(default_factory=dict)
    version: int | float | str | None = None


@dataclass(frozen=True)
class Settings:
    """All settings with their defaults; the type of a default is the type of the setting.

    Attributes
    ----------
    heartbeat
        The number of seconds between two signs of life of a run; 0 for none.
    capture
        Whether the code and the environment of a run are recorded.
    only_missing
        Whether runs are left out that are complete, under way or waiting already.
    dry_run
        Whether runs are listed instead of started.
    zip
        Keys whose values vary together in a sweep; or several lists of such keys.
    skip
        A query for the runs of a sweep that are left out.
    batch
        The name of the batch that the runs belong to; empty for one that is made from the date.
    requeue
        How often the job of a submitted run that was told to stop is put back into the queue.

    Examples
    --------
    >>> settings = checked({"logger": {"forced_log_id": 3}}, Path("/project"))
    >>> settings.logger.forced_log_id, settings.logger.parent_log_dir
    (3, '/project/logs')
    """

    logger: LoggerSettings = LoggerSettings()
    version_manager: VersionManagerSettings = VersionManagerSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    identity: IdentitySettings = IdentitySettings()
    use_version_manager: bool = False
    use_scheduler: bool = False
    use_logger: bool = True
    interactive_mode: bool = True
    resolve: bool = True
    as_ConfigDict: bool = True  # noqa: N815 - the name of the setting in MLXP 1
    heartbeat: float = 30.0
    capture: bool = True
    only_missing: bool = False
    dry_run: bool = False
    zip: tuple[Any, ...] = ()
    skip: str = ""
    requeue: int = 0
    batch: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the settings in the form that mlxp.yaml and ``ctx.mlxp`` have."""
        return {one.name: _plain(getattr(self, one.name)) for one in fields(self)}


_GROUPS: dict[str, type] = {
    "logger": LoggerSettings,
    "version_manager": VersionManagerSettings,
    "scheduler": SchedulerSettings,
    "identity": IdentitySettings,
}

_PATHS = {"logger": "parent_log_dir", "version_manager": "parent_work_dir"}
"""The settings that are paths; relative ones are relative to the file that defines the task."""


def _plain(value: Any) -> Any:
    if isinstance(value, _Group):
        return value.to_dict()
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


DEFAULTS: dict[str, Any] = Settings().to_dict()
"""Every setting with its default, in the form that Hydra takes."""

_KINDS: dict[type, tuple[str, Callable[[Any], bool]]] = {
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    float: ("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    str: ("a text", lambda value: isinstance(value, str)),
    list: ("a text or a list of texts", lambda value: all(isinstance(item, str) for item in lines(value))),
    dict: ("a group of settings", lambda value: isinstance(value, Mapping)),
    type(None): ("a number or a text", lambda value: value is None or type(value) in (int, float, str)),
}


def _are_keys(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_KINDS_BY_NAME: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "mlxp.zip": (
        "a list of keys, as in mlxp.zip=[model.name,model.units], or a list of such lists",
        lambda value: _are_keys(value) or (isinstance(value, list) and all(map(_are_keys, value))),
    ),
    "mlxp.batch": (
        "letters, digits and _ . + = -, and not 'last'",
        lambda value: value == "" or (isinstance(value, str) and is_batch_name(value)),
    ),
}


def lines(value: Any) -> list[Any]:
    """Return the items of a setting that is a list of texts; one text stands for a list of one.

    Examples
    --------
    >>> lines(["module load cuda", "conda activate ml"]), lines("conda activate ml"), lines("")
    (['module load cuda', 'conda activate ml'], ['conda activate ml'], [])
    """
    if isinstance(value, list | tuple):
        return list(value)
    return [] if value in ("", None) else [value]


def checked(given: Any, base_dir: Path) -> Settings:
    """Return the settings, complete and with absolute paths, after a `check`.

    Parameters
    ----------
    given
        All settings, as Hydra composed and resolved them; None for the defaults.
    base_dir
        The directory that relative paths start from.
    """
    check(given)
    complete = {**DEFAULTS, **(given or {})}
    groups = {name: _group(name, complete[name], base_dir) for name in _GROUPS}
    return Settings(**{**complete, **groups, "zip": tuple(complete["zip"])})


def _group(name: str, given: Mapping[str, Any], base_dir: Path) -> Any:
    defaults = DEFAULTS[name]
    own = {key: given.get(key, default) for key, default in defaults.items()}
    if name not in _PATHS:
        return _GROUPS[name](**{key: _as_default(value, defaults[key]) for key, value in own.items()})
    path = os.path.expanduser(own[_PATHS[name]])  # noqa: PTH111 - a str in, a str out
    own[_PATHS[name]] = os.path.normpath(base_dir / path)
    return _GROUPS[name](**own, options={key: value for key, value in given.items() if key not in defaults})


def _as_default(value: Any, default: Any) -> Any:
    return tuple(lines(value)) if isinstance(default, list) else value


def forced_directory(given: Mapping[str, Any]) -> tuple[str, int] | None:
    """Return the run directory that the settings choose, as its parent and id; None if it is a new one.

    Settings may still hold interpolations, whose choice is not known yet.
    """
    logger = given.get("logger", {})
    forced = logger.get("forced_log_id", -1)
    if given.get("use_logger", True) is not True or type(forced) is not int or forced < 0:
        return None
    return str(logger.get("parent_log_dir")), forced


def check(settings: Any) -> None:
    """Check every name, type and class; leave remaining interpolations for later.

    Settings that several runs share are checked only once.

    Parameters
    ----------
    settings
        All settings, as Hydra composed them; None for the defaults.

    Raises
    ------
    InvalidConfigFileError
        If a setting is unknown or of another type than its default, or if a class cannot be found.
    """
    _check(_Given(repr(settings), settings))


@dataclass(frozen=True)
class _Given:
    """Settings as they were given; two are equal if they read the same."""

    text: str
    settings: Any = field(compare=False)


@functools.lru_cache(maxsize=1000)
def _check(given: _Given) -> None:
    settings = given.settings
    if settings is not None and not isinstance(settings, Mapping):
        raise InvalidConfigFileError(f"mlxp must be a group of settings, not {settings!r}")
    _check_group(settings or {}, DEFAULTS, "mlxp")
    complete = {**DEFAULTS, **(settings or {})}
    for group in ("logger", "version_manager"):
        if not _is_interpolation(complete[group]):
            _check_options(group, {**DEFAULTS[group], **complete[group]})
    _check_scheduler(complete)
    _check_names_of(complete, "identity")
    for name, what in (("heartbeat", "a number of seconds"), ("requeue", "how often a job is put back")):
        if not _is_interpolation(complete[name]) and complete[name] < 0:
            raise InvalidConfigFileError(f"the setting mlxp.{name} is {what}, not {complete[name]}")


def _check_group(given: Mapping[str, Any], defaults: Mapping[str, Any], path: str) -> None:
    for name, value in given.items():
        if name not in defaults:
            if defaults is DEFAULTS:
                _check_known(name, defaults, f"{path}.")
            continue
        default = defaults[name]
        kind, is_kind = _KINDS_BY_NAME.get(f"{path}.{name}", _KINDS[type(default)])
        if _is_interpolation(value):
            continue
        if not is_kind(value):
            raise InvalidConfigFileError(f"the setting {path}.{name} must be {kind}, not {value!r}")
        if isinstance(default, dict):
            _check_group(value, default, f"{path}.{name}")


def _check_options(group: str, settings: Mapping[str, Any]) -> None:
    if _is_interpolation(settings["name"]):
        return
    options = parameters(class_named(settings["name"], group))
    if options is not None:
        for name in settings:
            _check_known(name, dict.fromkeys([*DEFAULTS[group], *sorted(options)]), f"mlxp.{group}.")


def _check_names_of(complete: Mapping[str, Any], group: str) -> None:
    for name in complete[group] if not _is_interpolation(complete[group]) else ():
        _check_known(name, DEFAULTS[group], f"mlxp.{group}.")


def _check_scheduler(complete: Mapping[str, Any]) -> None:
    scheduler = complete["scheduler"]
    if _is_interpolation(scheduler):
        return
    _check_names_of(complete, "scheduler")
    chosen = scheduler.get("name", DEFAULTS["scheduler"]["name"])
    if complete["use_scheduler"] is True and not _is_interpolation(chosen):
        from mlxp.scheduler import SCHEDULERS, scheduler_named

        if chosen == DEFAULTS["scheduler"]["name"]:
            raise InvalidConfigFileError(
                "the setting mlxp.use_scheduler is true, but mlxp.scheduler.name is not set; "
                f"set it to one of {', '.join(SCHEDULERS)}"
            )
        scheduler_named(chosen)


def check_names(settings: Any, where: str) -> None:
    """Check only the names, for a file whose values may still hold interpolations.

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


def _is_interpolation(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def _check_known(name: str, known: Mapping[str, Any], prefix: str, where: str = "") -> None:
    if name in known:
        return
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean {prefix}{near[0]}?" if near else f"the settings are: {', '.join(known)}"
    raise InvalidConfigFileError(f"unknown setting {prefix}{name}{where}; {hint}")
