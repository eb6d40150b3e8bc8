"""Queries about runs in the reader's syntax, with the current status according to the schedulers."""

import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlxp.commands.logs_directory import check_directory
from mlxp.errors import InvalidKeyError, LogDirectoryError, MLXPError
from mlxp.jobs.run_state import RunState, run_states
from mlxp_reader import Reader
from mlxp_reader.query.expressions import MISSING, Expression, FieldValues, Mask
from mlxp_reader.query.language import parse

_STATUS = "info.status"
_REASON = "info.exit.reason"


class _WithStatus(Expression):
    """An expression that takes the status of each run from a mapping by the run's id."""

    def __init__(self, expression: Expression, status: Mapping[int, str], *, has_reasons: bool = True) -> None:
        self.expression = expression
        self.status = status
        self.has_reasons = has_reasons

    def columns(self) -> set[str]:
        return self.expression.columns()

    def resolved(self, fields: Collection[str]) -> Expression:
        # A directory in which no run has started, or none has failed, has no such fields.
        with warnings.catch_warnings():
            # Jobs are acted on, so `not` must not negate a key that no run has.
            warnings.simplefilter("error", UserWarning)
            try:
                expression = self.expression.resolved({*fields, _STATUS, _REASON})
                return _WithStatus(expression, self.status, has_reasons=_REASON in fields)
            except UserWarning as told:
                raise InvalidKeyError(str(told)) from None

    def mask(self, column: FieldValues, n: int) -> Mask:
        def known(name: str) -> Any:
            if name == _STATUS:
                return [self.status.get(int(log_id), MISSING) for log_id in column("info.logger.log_id")]
            return column(name) if name != _REASON or self.has_reasons else [MISSING] * n

        return self.expression.mask(known, n)


class _Parser:
    def __init__(self, status: Mapping[int, str]) -> None:
        self.status = status

    def parse(self, query: str) -> Expression:
        return _WithStatus(parse(query), self.status)


def matching(runs: Sequence[RunState], parent: Path, query: str) -> list[RunState]:
    """Return the `runs` in `parent` that match a query of the reader.

    Raises
    ------
    InvalidKeyError
        If the query uses a name that does not exist.
    SyntaxError
        If the query cannot be understood.
    """
    reader = Reader(parent, parser=_Parser({run.directory.log_id: run.status for run in runs}))
    found = {int(log_id) for log_id in reader.filter(query)["info.logger.log_id"]}
    return [run for run in runs if run.directory.log_id in found]


def chosen(logs: Path, words: Sequence[str]) -> list[RunState]:
    """Return the runs that a user names, by their ids or by one query.

    Raises
    ------
    LogDirectoryError
        If there is no such directory or run, or if no run matches.
    MLXPError
        If the words are neither ids nor one query.
    """
    check_directory(logs)
    logs = logs.absolute()
    if all(word.isascii() and word.isdigit() for word in words):
        states = {state.directory.log_id: state for state in run_states(logs, [int(word) for word in words])}
        if missing := [word for word in words if int(word) not in states]:
            raise LogDirectoryError(f"there is no run {', '.join(missing)} in {logs}")
        return list(states.values())
    if len(words) != 1:
        raise MLXPError(f"runs are named by their ids, or by one query, not by {' '.join(words)!r}")
    found = matching(run_states(logs), logs, words[0])
    if not found:
        raise LogDirectoryError(f"no run in {logs} matches {words[0]!r}")
    return found
