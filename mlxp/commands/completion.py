"""Tab completion of the commands, by argcomplete: options, and the names and ids of the runs in the log directory.

A shell asks for completions by calling the command itself, which then calls this module. Names come from the reader's
index as it is, since nobody wants to wait for a directory to be read after pressing the tab key.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mlxp.run_directory.layout import CACHE_DIR, run_directories

_FEW_RUNS = 100
"""Completion reads the names in a directory without an index only if it holds at most this many runs."""


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions, and exit; do nothing if no shell is asking."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:  # the shell uses one that is installed elsewhere
        return
    for action in _actions(parser):
        if completer := _COMPLETERS.get(action.dest):
            action.completer = completer  # type: ignore[attr-defined]  # where argcomplete looks for it
    argcomplete.autocomplete(parser, always_complete_options="long")


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 - as argcomplete itself does, for want of another way
        yield action
        if isinstance(action.choices, dict):
            for child in action.choices.values():
                yield from _actions(child)


def _directories(prefix: str, **_: Any) -> Any:
    from argcomplete.completers import DirectoriesCompleter

    return DirectoriesCompleter()(prefix)


def _schedulers(**_: Any) -> list[str]:
    from mlxp.scheduler import SCHEDULERS

    return list(SCHEDULERS)


def _formats(**_: Any) -> list[str]:
    from tabulate import tabulate_formats

    return ["csv", "json", *tabulate_formats]


def _log_ids(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    return [str(run.log_id) for run in run_directories(parsed_args.logs)]


def _fields(logs: Path) -> list[str]:
    from mlxp_reader import Reader
    from mlxp_reader.records.index import FILE_NAME

    if not (logs / CACHE_DIR / FILE_NAME).exists() and len(list(run_directories(logs))) > _FEW_RUNS:
        return []
    return list(Reader(logs, refresh=False).fields.index)


def _keys(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    return [name.removeprefix("config.") for name in _fields(parsed_args.logs) if name.startswith("config.")]


def _metrics(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    from mlxp_reader.query.names import is_metric

    return [name for name in _fields(parsed_args.logs) if is_metric(name)]


def _columns(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    from mlxp_reader.query.names import is_metadata, is_metric
    from mlxp_reader.query.statistics import STATISTICS

    fields = _fields(parsed_args.logs)
    statistics = [f"{name}.{statistic}" for name in fields if is_metric(name) for statistic in STATISTICS]
    return ["log_id", "status", *(name.removeprefix("config.") for name in fields if is_metadata(name)), *statistics]


def _after_commas(completer: Callable[..., list[str]]) -> Callable[..., list[str]]:
    def complete_last(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        before = prefix[: prefix.rfind(",") + 1]
        return [before + name for name in completer(parsed_args=parsed_args)]

    return complete_last


_COMPLETERS: dict[str, Callable[..., Any]] = {
    "logs": _directories,
    "log_id": _log_ids,
    "others": _log_ids,
    "columns": _after_commas(_columns),
    "sort": _after_commas(_columns),
    "over": _after_commas(_keys),
    "exclude": _after_commas(_keys),
    "hue": _keys,
    "style": _keys,
    "col": _keys,
    "row": _keys,
    "metric": _metrics,
    "format": _formats,
    "scheduler": _schedulers,
}
"""What completes an argument, by the name under which its value is stored."""
