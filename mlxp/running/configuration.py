"""The configuration of a run: what a task is called with, what is checked before the start, and what is resolved."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlxp.config_dict import ConfigDict
from mlxp.errors import InvalidConfigFileError, MissingFieldError
from mlxp.running.copies import current_copy, original_of
from mlxp.running.plug_ins import created
from mlxp.running.preemption import should_stop
from mlxp.running.secrets import learn_secrets, without_secrets
from mlxp.running.settings import Settings, check, checked, forced_directory
from mlxp.running.storable import storable_text

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass
class Context:
    """The argument of a task; a test can create one with only what the task needs.

    Attributes
    ----------
    config
        The user's configuration; an OmegaConf ``DictConfig`` if the setting ``as_ConfigDict`` is false.
    mlxp
        The settings of MLXP in force.
    info
        Facts about the run: status, host, process, times, directories, versions.
    logger
        Writes metrics and artifacts; None if the setting ``use_logger`` is false.

    Examples
    --------
    >>> Context(config=ConfigDict(seed=1)).config.seed
    1
    """

    config: Any = field(default_factory=ConfigDict)
    mlxp: ConfigDict = field(default_factory=ConfigDict)
    info: ConfigDict = field(default_factory=ConfigDict)
    logger: Any = None

    def should_stop(self) -> bool:
        """Tell whether the task should save its state and return: after a warning, or when its time is nearly up.

        Once a task has called this, the first SIGTERM, SIGUSR1 or SIGUSR2 does not interrupt it. If this returns true
        and the task returns, its status is ``KILLED`` with the reason ``PREEMPTED``, and it can be resumed.

        Returns
        -------
        bool
            True from the first warning on, or from one minute before the time limit if the scheduler reports the limit
            (Slurm, by ``SLURM_JOB_END_TIME``).

        Examples
        --------
        >>> Context().should_stop()
        False
        """
        return should_stop()


@dataclass(frozen=True)
class Program:
    """The user's program: the task, how to seed it, where it is defined, and the command that starts it.

    Attributes
    ----------
    command
        The words that start the program, without overrides; empty if it was called from Python.
    name_of_batch
        Returns the name of the batch that a run with this id belongs to; None where runs belong to none.
    """

    task: Callable[[Context], Any]
    seeding_function: Callable[[Any], Any] | None
    file: str
    directory: Path
    command: tuple[str, ...] = ()
    name_of_batch: Callable[[int], str | None] | None = None

    @property
    def base(self) -> Path:
        """The directory that relative settings start from: the task's, also where a copy of the code is executed."""
        return original_of(self.directory)

    @property
    def path(self) -> str:
        """The path of the file that defines the task; of the original, where a copy of the code is executed."""
        return str(self.base / Path(self.file).name)


def check_configuration(program: Program, composed: "DictConfig") -> tuple[str, int] | None:
    """Check what can be checked before anything is resolved; return the chosen run directory, if there is one.

    Raises
    ------
    InvalidConfigFileError
        If a setting is unknown or ill-typed.
    MissingFieldError
        If a value is missing, or if there is a seeding function but no key ``seed``.
    """
    settings, _ = _checked_content(program, composed)
    return forced_directory(settings)


def _checked_content(program: Program, composed: "DictConfig") -> tuple[dict[str, Any], dict[str, Any]]:
    from omegaconf import OmegaConf

    content: Any = OmegaConf.to_container(composed)
    settings = content.pop("mlxp", None)
    content.pop("hydra", None)
    check(settings)
    if program.seeding_function is not None and "seed" not in content:
        raise MissingFieldError(
            "the configuration has no key 'seed', which the seeding_function needs; "
            "add 'seed: 0' to config.yaml, or +seed=0 on the command line"
        )
    missing = list(_missing_keys(content))
    if missing:
        raise MissingFieldError(
            f"the configuration has no value for {', '.join(missing)}; give one, as in {missing[0]}=... "
            "on the command line"
        )
    _check_texts(content)
    return settings or {}, content


def uses_scheduler(composed: "DictConfig") -> bool:
    """Return whether the settings in a composed configuration ask for jobs instead of runs in this process."""
    settings = composed.get("mlxp")
    return settings is not None and settings.get("use_scheduler") is True


def _missing_keys(content: Any, prefix: str = "") -> Iterator[str]:
    """Yield the full names of the values that are ``???``, including those in lists."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from _missing_keys(value, f"{prefix}{key}.")
        elif isinstance(value, str) and value == "???":
            yield f"{prefix}{key}"


def resolved_configuration(
    program: Program, composed: "DictConfig", *, in_place: bool = False
) -> tuple["DictConfig", Settings, dict[str, Any]]:
    """Return the user's configuration and the settings, after all checks, and the configuration as it was written.

    Parameters
    ----------
    in_place
        Whether nobody else uses the composed configuration, which saves a copy.
    """
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException

    given, content = _checked_content(program, composed)
    is_literal = "${" not in f"{given}{content}"  # spares most of the time where there is nothing to resolve
    config = composed if in_place else composed.copy()
    OmegaConf.set_readonly(config, None)
    try:
        resolved: Any = given if is_literal or not given else OmegaConf.to_container(composed.mlxp, resolve=True)
        settings = checked(resolved, program.base)
        if settings.resolve and not is_literal:
            _resolve(config)
            _keep_literal(config, OmegaConf.to_container(config, resolve=False))
    except OmegaConfBaseException as error:
        raise InvalidConfigFileError(f"the configuration cannot be resolved: {error}") from error
    with open_dict(config):
        config.pop("mlxp")
    OmegaConf.set_struct(config, None)
    return config, settings, content


def recorded(written: Any, resolved: Any) -> Any:
    """Return a configuration in the form that is recorded: resolved, and without secrets.

    Parameters
    ----------
    written, resolved
        The configuration with and without its interpolations, as dicts and lists. An interpolation that leads to a
        secret stays, so that a rerun takes the secret from the environment.

    Examples
    --------
    >>> recorded({"a": "${b}", "db": {"password": "${oc.env:PW}"}}, {"a": 1, "db": {"password": "s3cret"}})
    {'a': 1, 'db': {'password': '${oc.env:PW}'}}
    """
    learn_secrets(resolved)  # which are then masked wherever else they turn up
    return _chosen(written, resolved, without_secrets(resolved))


def _chosen(written: Any, resolved: Any, masked: Any) -> Any:
    if isinstance(resolved, tuple):  # of a resolver
        resolved = list(resolved)
    if masked is resolved or masked == resolved:
        return masked
    if isinstance(resolved, dict):
        known = written if isinstance(written, dict) else {}
        return {name: _chosen(known.get(name), value, masked[name]) for name, value in resolved.items()}
    if isinstance(resolved, list):
        known_items = written if isinstance(written, list) and len(written) == len(resolved) else [None] * len(resolved)
        return [_chosen(*items) for items in zip(known_items, resolved, masked, strict=True)]
    return written if isinstance(written, str) and "${" in written else masked


def _resolve(config: "DictConfig") -> None:
    from omegaconf import OmegaConf, flag_override
    from omegaconf.errors import UnsupportedValueType

    try:
        OmegaConf.resolve(config)
    except UnsupportedValueType:
        # A resolver has returned a tuple, a date or the like: the task gets it as it is.
        with flag_override(config, "allow_objects", True):
            OmegaConf.resolve(config)


def _keep_literal(node: Any, values: Any) -> None:
    """Write a literal ``${`` in resolved values so that it is not taken for an interpolation the next time."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        if isinstance(value, dict | list):
            _keep_literal(node[key], value)
        elif isinstance(value, str) and "${" in value:
            node[key] = value.replace("${", "\\${")


def task_and_plain_configuration(config: "DictConfig", settings: Settings) -> tuple[Any, Any]:
    """Return the configuration as the task gets it, and as plain dicts and lists.

    Raises
    ------
    InvalidConfigFileError
        If a value cannot be resolved, or if no file could hold it.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        plain: Any = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise InvalidConfigFileError(f"the configuration cannot be resolved: {error}") from error
    _check_texts(plain)
    return (ConfigDict(plain) if settings.as_ConfigDict else config), plain


def _check_texts(content: Any) -> None:
    """Check that all texts can be written as UTF-8: file names may hold bytes that are not text."""
    for name, text in _texts(content):
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise InvalidConfigFileError(
                    f"the value of {storable_text(name)} holds bytes that are not UTF-8 text, which config.yaml cannot "
                    f"record: '{storable_text(text)}'; rename the file, or give another text"
                ) from error


def _texts(content: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in a configuration, keys included, with its full name."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        name = f"{prefix}{key}"
        if isinstance(key, str):
            yield name, key
        if isinstance(value, dict | list | tuple):
            yield from _texts(value, f"{name}.")
        elif isinstance(value, str):
            yield name, value


@dataclass(frozen=True)
class WorkDir:
    """Where a run is executed.

    Attributes
    ----------
    path
        The directory.
    version_manager
        What the version manager says about the code; None without one.
    code
        What is known about the copy of the code that the directory belongs to; None if there is none.
    """

    path: str
    version_manager: Any = None
    code: dict[str, Any] | None = None


COPIED: Final = "MLXP_COPIED"
"""Environment variable that holds what is known about the copy in which a program has started again, as JSON."""


def in_copy(program: Program) -> bool:
    """Tell whether a program is executed in a copy of its code."""
    copy = current_copy()
    return copy is not None and copy.holds(program.directory)


def work_dir_of(settings: Settings, program: Program) -> WorkDir:
    """Return where to execute a run, after asking the version manager, if any."""
    if not settings.use_version_manager:
        return WorkDir(str(Path.cwd()))
    known = os.environ.get(COPIED)
    if known and in_copy(program):
        facts = json.loads(known)
        return WorkDir(str(Path.cwd()), facts["version_manager"], facts["code"])
    chosen = settings.version_manager
    manager = created("version_manager", chosen.name, chosen.arguments())
    manager.interactive_mode = settings.interactive_mode
    manager.directory = program.directory
    work_dir = manager.make_working_directory()
    return WorkDir(str(work_dir), manager.get_info(), manager.code)
