"""Leaves out combinations of a sweep by a condition in the Reader's query language, such as ``model.name == 'b'``.

A combination that Hydra cannot compose, since the chosen files lack a key that is swept, may be left out as well.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from mlxp.errors import InvalidConfigFileError, InvalidKeyError, MLXPError

_PREFIX = "config."
_TRIES = 50
"""How many other runs are composed to find out whether a key is missing in some runs only."""


class Composer(Protocol):
    """What composes the runs of a sweep."""

    def compose_ahead(self, overrides: Sequence[str]) -> DictConfig:
        """Return the configuration of a run; it has ``hydra`` only if it uses that."""

    def forced(self, overrides: Sequence[str]) -> DictConfig:
        """Return the configuration of a run, to which the keys are added that its files lack."""

    def choices(self, overrides: Sequence[str]) -> dict[str, str]:
        """Return which file is chosen for each group."""


def remaining(runs: Sequence[list[str]], text: str, composer: Composer) -> list[list[str]]:
    """Return the runs for which a condition is not true.

    Raises
    ------
    InvalidConfigFileError
        If the condition is no query, names a key that no run has, or is true of all runs; or if a run that is not left
        out lacks a key that is swept.
    """
    condition = Condition(text)
    lacking: dict[int, HydraException] = {}
    for number, run in enumerate(runs):
        try:
            config = composer.compose_ahead(run)
        except HydraException as error:
            lacking[number] = error
            config = _forced(composer, run, error)
        condition.look_at(config, composer.choices(run))
    matches = condition.matches()
    for number, problem in lacking.items():
        if not matches[number]:
            raise _lack(runs, number, problem, composer)
    if runs and all(matches):
        raise InvalidConfigFileError(f"there is nothing to run: mlxp.skip={text!r} is true of every run")
    return [run for run, is_left_out in zip(runs, matches, strict=True) if not is_left_out]


def composed_each(runs: Sequence[list[str]], composer: Composer) -> Iterator[DictConfig]:
    """Yield the configuration of each run.

    Raises
    ------
    InvalidConfigFileError
        If a run lacks a key that is swept and that other runs have.
    HydraException
        If a run cannot be composed for another reason.
    """
    for number, run in enumerate(runs):
        try:
            yield composer.compose_ahead(run)
        except HydraException as error:
            raise _lack(runs, number, error, composer) from error


def _forced(composer: Composer, run: Sequence[str], error: HydraException) -> DictConfig:
    try:
        return composer.forced(run)
    except HydraException:
        raise error from None


def _lack(runs: Sequence[list[str]], number: int, error: HydraException, composer: Composer) -> Exception:
    """Return a sentence about a key that a run lacks, if other runs have it; or else the error as Hydra says it."""
    key = re.match(r"Could not override '([^']+)'", str(error))
    others = [run for run in runs if run is not runs[number]][-_TRIES:]
    if key is None or not any(_is_composed(composer, run) for run in others):
        return error
    return InvalidConfigFileError(
        f"{' '.join(runs[number])}: with these files, the configuration has no key {key[1]}, which other runs of the "
        "sweep have; leave such runs out by a condition, as in mlxp.skip=\"model.name == 'b'\", or add the key to "
        f"them with ++{key[1]}=..."
    )


def _is_composed(composer: Composer, run: Sequence[str]) -> bool:
    try:
        composer.compose_ahead(run)
    except HydraException:
        return False
    return True


class Condition:
    """A condition on the configurations of a sweep's runs, which are looked at one after the other.

    Only the values of the names in the condition are kept, since a sweep may have thousands of runs.

    Parameters
    ----------
    text
        A query; the name of a group, such as ``model``, stands for the file that was chosen for it.

    Raises
    ------
    InvalidConfigFileError
        If the text is no query.

    Examples
    --------
    >>> condition = Condition("model == 'b' & lr > 0.5")
    >>> for lr in (0.1, 1):
    ...     condition.look_at(OmegaConf.create({"lr": lr, "model": {"units": 4}}), {"model": "b"})
    >>> condition.matches()
    [False, True]
    """

    def __init__(self, text: str) -> None:
        from mlxp_reader.query.language import parse  # it takes numpy, which most sweeps do without

        try:
            self._expression = parse(text)
        except MLXPError as error:
            raise InvalidConfigFileError(f"mlxp.skip: {error}") from None
        self._names = {name.removeprefix(_PREFIX) for name in self._expression.columns()}
        self._fields: dict[str, str] = {}
        self._runs: list[dict[str, Any]] = []

    def look_at(self, config: DictConfig, choices: Mapping[str, str]) -> None:
        """Note what the condition asks of one more run: its configuration, and the files that it chooses by group."""
        values: dict[str, Any] = dict(choices)
        self._fields |= dict.fromkeys((f"{_PREFIX}{name}" for name in choices), "value")
        for name in _names_in(OmegaConf.to_container(config)):
            self._fields[f"{_PREFIX}{name}"] = "value"
            if name in self._names:
                values[name] = _plain(OmegaConf.select(config, name))
        self._runs.append({name: value for name, value in values.items() if name in self._names})

    def matches(self) -> list[bool]:
        """Return for each run that was looked at whether the condition is true.

        Raises
        ------
        InvalidConfigFileError
            If the condition names a key that no run has.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # a key that no run has would be negated by `not`
            try:
                expression = self._expression.resolved(self._fields)
            except (InvalidKeyError, UserWarning) as error:
                raise InvalidConfigFileError(f"mlxp.skip: {error}") from None
        found: list[bool] = expression.mask(self._values, len(self._runs)).tolist()
        return found

    def _values(self, name: str) -> list[Any]:
        from mlxp_reader.query.expressions import MISSING

        return [run.get(name.removeprefix(_PREFIX), MISSING) for run in self._runs]


def _names_in(content: Any, prefix: str = "") -> Iterator[str]:
    for key, value in content.items():
        if not prefix and key in {"hydra", "mlxp"}:
            continue
        if isinstance(value, dict) and value:
            yield from _names_in(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
