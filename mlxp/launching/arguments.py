"""The command line of a task, before Hydra reads it: keeps Hydra's own flags and adds MLXP's conveniences.

Hydra 1.3 takes overrides only on one side of the flags, refuses ``+`` before a key that exists, and needs ``-m`` for a
sweep. The arguments are rewritten and given to Hydra, which alone decides what they mean.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from mlxp.run_directory.layout import RunDirectory

_SWITCHES = (
    ("--help", "-h"),
    ("--hydra-help",),
    ("--version",),
    ("--resolve",),
    ("--run", "-r"),
    ("--multirun", "-m"),
    ("--shell-completion", "-sc"),
)
_OPTIONS = (
    ("--cfg", "-c"),
    ("--package", "-p"),
    ("--config-path", "-cp"),
    ("--config-name", "-cn"),
    ("--config-dir", "-cd"),
    ("--experimental-rerun",),
)
_LOOKS = ("help", "hydra_help", "version", "cfg", "shell_completion", "experimental_rerun", "info")


@dataclass(frozen=True)
class Arguments:
    """A Hydra command line, split into its parts."""

    flags: dict[str, str | bool]
    overrides: list[str]

    @property
    def only_looks(self) -> bool:
        """Whether Hydra is asked to show something instead of running the task."""
        return any(name in self.flags for name in _LOOKS)

    @property
    def is_plain_run(self) -> bool:
        """Whether Hydra is asked for its mode without launcher and sweeper."""
        return "run" in self.flags or "hydra.mode=RUN" in self.overrides

    def option(self, name: str) -> str | None:
        """Return the value of an option, such as ``config_name``; None if it is not given."""
        value = self.flags.get(name)
        return value if isinstance(value, str) else None

    def with_directories(self, moved: Callable[[str], str]) -> "Arguments":
        """Return these arguments with the directories of configurations `moved`."""
        names = {"config_path", "config_dir"}
        flags = {
            name: moved(value) if name in names and isinstance(value, str) else value
            for name, value in self.flags.items()
        }
        return Arguments(flags, self.overrides)

    def without_mode(self) -> "Arguments":
        """Return these arguments for a sweep, whatever mode they chose."""
        flags = {name: value for name, value in self.flags.items() if name not in {"run", "multirun"}}
        return Arguments(flags, [one for one in self.overrides if not one.startswith("hydra.mode=")])

    def overridden_by(self, overrides: list[str]) -> "Arguments":
        """Return these arguments with more `overrides`, in place of those of the same key."""
        replaced = {one.partition("=")[0] for one in overrides}
        kept = [one for one in self.overrides if one.partition("=")[0] not in replaced]
        return Arguments(self.flags, [*kept, *overrides])

    def with_overrides(self, overrides: list[str]) -> "Arguments":
        """Return these arguments for one plain run with more `overrides`, which take precedence."""
        flags = {name: value for name, value in self.flags.items() if name != "multirun"}
        return Arguments(flags, [*(one for one in self.overrides if not one.startswith("hydra.mode=")), *overrides])

    def to_argv(self) -> list[str]:
        """Return the arguments for Hydra: flags first, every ``mlxp`` override without plus, a multirun by default."""
        flags = []
        for name, value in self.flags.items():
            flag = f"--{name.replace('_', '-')}"
            flags.append(flag if value is True else f"{flag}={value}")
        overrides = [without_plus(override) for override in self.overrides]
        chosen = "run" in self.flags or any(override.startswith("hydra.mode=") for override in overrides)
        if not (self.only_looks or chosen):
            # Hydra's plain mode ignores launcher and sweeper, so that a single submitted run would start here.
            overrides.append("hydra.mode=MULTIRUN")
            if "multirun" not in self.flags:  # by which Hydra goes where another override is wrong, to say which
                flags.append("--multirun")
        return flags + overrides


def without_plus(override: str) -> str:
    """Return an override of a setting without the ``+`` that MLXP 1 required; return any other override as it is.

    Examples
    --------
    >>> without_plus("+mlxp.use_logger=false"), without_plus("+model.depth=3")
    ('mlxp.use_logger=false', '+model.depth=3')
    """
    bare = override.lstrip("+")
    return bare if bare.startswith("mlxp.") else override


def overrides_of_job(directory: RunDirectory) -> list[str]:
    """Return the overrides that make a program run once, here and in `directory`, whatever its configuration says.

    Hydra's plain mode uses neither a launcher nor a sweeper, so that the run can neither submit nor sweep again.
    """
    from hydra.core.override_parser.types import Quote, QuotedString

    parent = QuotedString(str(directory.path.parent).replace("${", "\\${"), Quote.single).with_quotes()
    return [
        "hydra.mode=RUN",
        f"mlxp.logger.forced_log_id={directory.log_id}",
        f"mlxp.logger.parent_log_dir={parent}",
        "mlxp.use_scheduler=false",
        "mlxp.use_version_manager=false",
        "mlxp.interactive_mode=false",
    ]


def takes_value(flag: str) -> bool:
    """Tell whether the argument after `flag` is its value.

    Examples
    --------
    >>> takes_value("--config-name"), takes_value("--config-name=other"), takes_value("-m")
    (True, False, False)
    """
    return any(flag in names for names in _OPTIONS)


class _UnreadableError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UnreadableError(message)


def _as_text(word: str) -> str:
    r"""Return a word of the command line as UTF-8 text, even if Python decoded its bytes by another encoding.

    Examples
    --------
    >>> _as_text(os.fsdecode("é".encode())), _as_text("note=\udcc3\udca9"), _as_text("caf\udce9")
    ('é', 'note=é', 'caf\udce9')
    """
    if word.isascii() or not any("\udc80" <= character <= "\udcff" for character in word):
        return word
    try:
        return os.fsencode(word).decode("utf-8")
    except UnicodeError:
        return word


def parsed(argv: list[str]) -> Arguments | None:
    """Parse the arguments after the program's name; return None if Hydra does not know them and will say so."""
    parser = _Parser(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for names in _SWITCHES:
        parser.add_argument(*names, action="store_true")
    for names in _OPTIONS:
        parser.add_argument(*names)
    parser.add_argument("--info", "-i", nargs="?", const="all")
    parser.add_argument("overrides", nargs="*")
    try:
        found = vars(parser.parse_intermixed_args([_as_text(word) for word in argv]))
    except _UnreadableError:
        return None
    overrides = found.pop("overrides", [])
    return Arguments(found, overrides)
