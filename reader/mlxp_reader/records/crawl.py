"""Turns the directory of a run into one record: what its YAML files say, which metrics and artifacts it has.

Directories of MLXP 1 are read as well as today's. Whatever is broken there becomes a problem of the record and never an
exception, since one bad run must not hide the others. Metrics and artifacts themselves are left to those who load them.
"""

import json
import os
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.liveness import is_gone, is_silent
from mlxp.run_directory.status import Status
from mlxp_reader.records import yaml_lines
from mlxp_reader.records.file_states import NO_FILE, FileState, state_of

_RUN = RunDirectory(Path())
_INFO = _RUN.info_file.as_posix()
_CONFIG = _RUN.config_file.as_posix()
_SUBMISSION = _RUN.submission_file.as_posix()
_METRICS = _RUN.metrics.as_posix()
_METRICS_KEYS = _RUN.metrics_keys_file.parent.as_posix()
_ARTIFACTS_KEYS = _RUN.artifacts_keys_file.as_posix()

_NO_LOGS = ("config", "info", "artifact", "mlxp")  # what columns of other kinds start with
_LARGEST_FILE = 16 * 2**20  # PyYAML needs some hundred times the size of a file in memory
_MOST_VALUES = 100_000  # a few lines of aliases can stand for billions of values
_RACY = 2.0  # seconds; a file changed again within one tick of the file system's clock keeps its stamp
_YOUNG = 60.0  # seconds that a run may take to write its first files

# What PyYAML's safe loader is known to raise, beside its own errors, on values that are not what their tag says.
_YAML_ERRORS = (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)


class FileProblem(NamedTuple):
    """Something in the directory of a run that cannot be read."""

    file: str
    line: int | None
    error: str


@dataclass(slots=True)
class Record:
    """What is known of one run without loading its metrics and artifacts.

    Attributes
    ----------
    values
        The configuration and the info, flattened: ``{'config.optimizer.lr': 0.1, 'info.status': 'COMPLETE'}``.
    metrics
        The keys of each metrics file, by log name.
    artifacts
        The names of the artifacts, by type and folder.
    files, stamp
        The files that tell whether the record is still right, and the numbers of their `FileState`s, one after the
        other. Of a run that goes on, a checksum of the record comes last, since it may be another one though the files
        are the same: its process ends, its time to write the first files is over.
    settled
        Whether an unchanged `stamp` proves that the record is still right.
    """

    log_id: int
    values: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, list[str]] = field(default_factory=dict)
    artifacts: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    stamp: list[int] = field(default_factory=list)
    settled: bool = False
    problems: list[FileProblem] = field(default_factory=list)


def crawl(path: str | os.PathLike[str]) -> Record:
    """Return the record of the run whose directory is `path`.

    Examples
    --------
    >>> crawl("tests/data/mlxp-1.0.5-logs/logs/1").values["config.optimizer.lr"]
    10.0
    """
    path = os.fspath(path)
    record = Record(int(os.path.basename(path)))  # noqa: PTH119 - a pathlib.Path costs more than the files' reading
    started = time.time()
    # Of each file before it is read: what changes meanwhile is then looked at again next time.
    states = {_METRICS_KEYS: state_of(f"{path}/{_METRICS_KEYS}")}
    _read_info(path, record, states)
    _read_config(path, record, states)
    _read_metric_keys(path, record, states)
    _read_artifact_names(path, record, states)
    status = Status.of(record.values.get("info.status"))
    is_final = status is not None and status.is_final
    for file in map(metrics_file, record.metrics):
        states[file] = state_of(f"{path}/{file}")
        if is_final and states[file] is NO_FILE:
            record.problems.append(FileProblem(file, None, "there is no such file, though its keys are listed"))
    record.files = tuple(states)
    record.stamp = [number for state in states.values() for number in state]
    is_old = all(state.mtime_ns < (started - _RACY) * 1e9 for state in states.values())
    record.settled = is_final and is_old and not record.problems
    if not record.settled:
        record.stamp.append(_checksum(record))
    return record


def _checksum(record: Record) -> int:
    text = repr((record.values, record.metrics, record.artifacts, record.problems))
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def metrics_file(log_name: str) -> str:
    """Return the path of a metrics file in the directory of a run."""
    return f"{_METRICS}/{log_name}.json"


_States = dict[str, FileState]


def _names_in(path: str, folder: str, record: Record) -> list[str]:
    try:
        return sorted(os.listdir(f"{path}/{folder}"))  # noqa: PTH208 - as above
    except FileNotFoundError:
        return []
    except OSError as error:
        record.problems.append(FileProblem(folder, None, error.strerror or str(error)))
        return []


def _read_info(path: str, record: Record, states: _States) -> None:
    info = _mapping(path, _INFO, record, states)
    submission = _mapping(path, _SUBMISSION, record, states)
    if submission:
        says = (
            {"status": submission.get("status", Status.SUBMITTED.value)}
            if _is_waiting(info, submission, states[_INFO])
            else {}
        )
        info = {**(info or {}), **says, "scheduler": submission}
    elif _is_lost(info or {}, states[_INFO]):  # of a job, its scheduler may know more
        info = {**(info or {}), "status": Status.LOST.value}
    # A directory that was copied or renamed is known by the name that it has now.
    info = {**(info or {}), "logger": {**_logger_of(info), "log_id": record.log_id}}
    _add_flattened(info, "info", _INFO, record)
    if "info.status" not in record.values and not record.problems and not _is_young(path):
        record.problems.append(FileProblem(_INFO, None, "there is no such file, or no status in it"))


def _is_waiting(info: Mapping[str, Any] | None, submission: Mapping[str, Any], state: FileState) -> bool:
    """Tell whether the attempt that was submitted has not begun, so that it cannot have said anything."""
    begun, submitted = (info or {}).get("attempt", 1), submission.get("attempt", 1)
    return state is NO_FILE or (isinstance(begun, int) and isinstance(submitted, int) and begun < submitted)


def _is_lost(info: Mapping[str, Any], state: FileState) -> bool:
    status = Status.of(info.get("status"))
    return status is not None and status.is_under_way and is_silent(info, state.mtime_ns / 1e9) and is_gone(info)


def _logger_of(info: Mapping[str, Any] | None) -> Mapping[str, Any]:
    logger = (info or {}).get("logger")
    return logger if isinstance(logger, dict) else {}


def _read_config(path: str, record: Record, states: _States) -> None:
    config = _mapping(path, _CONFIG, record, states)
    if config is not None:
        _add_flattened(config, "config", _CONFIG, record)
    elif states[_CONFIG] is NO_FILE and record.values.get("info.status") != Status.SUBMITTED and not _is_young(path):
        record.problems.append(FileProblem(_CONFIG, None, "there is no such file"))


def _is_young(path: str) -> bool:
    """Tell whether the run may just be about to write its first files."""
    try:
        return time.time() - os.stat(path).st_mtime < _YOUNG  # noqa: PTH116 - as above
    except OSError:
        return True  # removed meanwhile


def _mapping(path: str, name: str, record: Record, states: _States) -> dict[Any, Any] | None:
    content = _content(path, name, record, states)
    if content is None or isinstance(content, dict):
        return content
    record.problems.append(FileProblem(name, None, f"holds a {type(content).__name__} instead of a mapping"))
    return None


def _content(path: str, name: str, record: Record, states: _States) -> Any:
    """Return the content of a YAML file; None if there is no such file, or nothing that can be read in it."""
    states[name] = NO_FILE
    try:
        # Not blocking, since somebody may have left a pipe where a file should be.
        descriptor = os.open(f"{path}/{name}", _READING)
    except FileNotFoundError:
        return None
    except OSError as error:
        record.problems.append(FileProblem(name, None, error.strerror or str(error)))
        return None
    try:
        states[name] = state_of(descriptor)
        return _parsed(_text(descriptor, states[name].size), is_short="/.keys/" in name)
    except OSError as error:
        record.problems.append(FileProblem(name, None, error.strerror or str(error)))
    except _YAML_ERRORS as error:
        record.problems.append(FileProblem(name, _line_of(error), _sentence(error)))
    finally:
        os.close(descriptor)
    return None


_READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def _text(descriptor: int, size: int) -> str:
    if size > _LARGEST_FILE:
        raise yaml.YAMLError(f"the file is larger than {_LARGEST_FILE // 2**20} MB")
    text = os.read(descriptor, size).decode("utf-8")
    if not text or text.isspace():
        raise yaml.YAMLError("the file is empty")
    return text


def _parsed(text: str, *, is_short: bool) -> Any:
    return _parsed_once(text) if is_short and len(text) < 10_000 else yaml_lines.load(text)


# The same few keys are in every run of a sweep. What comes out is shared, hence read only.
_parsed_once = lru_cache(maxsize=4096)(yaml_lines.load)


def _line_of(error: Exception) -> int | None:
    mark = getattr(error, "problem_mark", None)
    return None if mark is None else mark.line + 1


def _sentence(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        return " ".join(part for part in (error.context, error.problem) if part)
    return f"{error}" if isinstance(error, yaml.YAMLError) else f"{type(error).__name__}: {error}"


def _add_flattened(mapping: Mapping[Any, Any], prefix: str, file: str, record: Record) -> None:
    values: dict[str, Any] = {}
    twice: list[str] = []
    try:
        _flatten(mapping, prefix, values, twice)
    except (_TooManyError, RecursionError):
        record.problems.append(FileProblem(file, None, f"stands for more than {_MOST_VALUES} values"))
    record.problems += [
        FileProblem(file, None, f"several keys are called {name}; the last one counts") for name in twice
    ]
    record.values |= values


class _TooManyError(Exception):
    """More values than can be meant."""


def _flatten(mapping: Mapping[Any, Any], prefix: str, values: dict[str, Any], twice: list[str]) -> None:
    if len(values) > _MOST_VALUES:
        raise _TooManyError
    for key, value in mapping.items():
        name = f"{prefix}.{key}"
        if type(value) is dict and value:
            _flatten(value, name, values, twice)
            continue
        if type(value) is list:
            _check_size(value, _MOST_VALUES)
        if name in values:
            twice.append(name)
        values[name] = value


def _check_size(items: Iterable[Any], left: int) -> int:
    """Return how many more values than those in `items`, and in what these hold, there may be."""
    for item in items:
        left -= 1
        if left < 0:
            raise _TooManyError
        if isinstance(item, list | tuple | set):
            left = _check_size(item, left)
        elif isinstance(item, dict):
            left = _check_size(item.values(), left)
    return left


def _read_metric_keys(path: str, record: Record, states: _States) -> None:
    for file in _names_in(path, _METRICS_KEYS, record) if states[_METRICS_KEYS] is not NO_FILE else ():
        if not file.endswith(".yaml"):
            continue
        name = f"{_METRICS_KEYS}/{file}"
        of_file = []
        for log, keys in (_mapping(path, name, record, states) or {}).items():
            if keys == "" or keys is None:  # one file per log of MLXP 1: {loss: '', epoch: ''}
                of_file.append(log)
            elif isinstance(keys, list):  # today's one file: {train: [loss, epoch]}
                _add_metrics(record, name, str(log), keys)
            else:
                record.problems.append(FileProblem(name, None, f"the keys of {log} are no list"))
        if of_file:
            _add_metrics(record, name, file.removesuffix(".yaml"), of_file)
    if not record.metrics:
        _recover_metric_keys(path, record, states)


def _add_metrics(record: Record, file: str, log_name: str, keys: Iterable[Any]) -> None:
    names = [log_name, *map(str, keys)]
    if log_name in _NO_LOGS or "/" in log_name or "\0" in log_name:
        record.problems.append(FileProblem(file, None, f"no metrics file can be called {log_name!r}"))
    elif not all(map(_is_text, names)):
        record.problems.append(FileProblem(ascii(file), None, f"{names!a} are no names of text"))
    else:
        record.metrics.setdefault(log_name, []).extend(names[1:])


def _is_text(name: str) -> bool:
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _recover_metric_keys(path: str, record: Record, states: _States) -> None:
    """Find the keys in the first records, for a run that lost its list of keys."""
    states[_METRICS] = state_of(f"{path}/{_METRICS}")
    for name in _names_in(path, _METRICS, record):
        if name.endswith(".json"):
            keys = dict.fromkeys(key for row in _first_records(f"{path}/{_METRICS}/{name}") for key in row)
            if keys:
                _add_metrics(record, f"{_METRICS}/{name}", name.removesuffix(".json"), keys)


_ENOUGH = 2**16


def _first_records(file: str) -> Iterator[dict[str, Any]]:
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - as above
            text = opened.read(_ENOUGH)
    except OSError:
        return
    lines = text.split(b"\n")
    for line in lines[:-1] if len(text) == _ENOUGH else lines:  # the last one may be cut off
        row = parse_json_line(line)
        if row is not None:
            yield row


def parse_json_line(line: bytes) -> dict[str, Any] | None:
    """Return the record that a line of a metrics file holds, or None if it holds none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


_NAMES = (list, dict, type(None))  # today's, that of MLXP 1, and an empty one


def _read_artifact_names(path: str, record: Record, states: _States) -> None:
    for artifact_type, folders in (_mapping(path, _ARTIFACTS_KEYS, record, states) or {}).items():
        if not isinstance(folders, dict) or not all(isinstance(found, _NAMES) for found in folders.values()):
            record.problems.append(
                FileProblem(_ARTIFACTS_KEYS, None, f"the type {artifact_type} has no folders of names")
            )
            continue
        names = {_folder(str(key)): [str(name) for name in found or ()] for key, found in folders.items()}
        record.artifacts[str(artifact_type)] = names


def _folder(key: str) -> str:
    """Return the folder that `key` means: today's is a path, that of MLXP 1 like ``.plots.final``."""
    return key[1:].replace(".", "/") if key.startswith(".") else key
