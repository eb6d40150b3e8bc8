"""Turns the directory of a run into one record: what its YAML files say and which metrics and artifacts it has.

Both directories of MLXP 1 and current ones are read. Anything broken becomes a problem of the record and never an
exception, since one bad run must not hide the others. The metrics and artifacts themselves are loaded elsewhere.
"""

import json
import os
import time
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from sys import intern
from typing import Any

from mlxp.run_directory.batches import batch_of
from mlxp.run_directory.checked import INFO, SUBMISSION, Kinds, checked
from mlxp.run_directory.files import is_writable_text
from mlxp.run_directory.layout import RunDirectory
from mlxp.run_directory.liveness import is_gone, is_silent
from mlxp.run_directory.outcome import outcome
from mlxp.run_directory.ranks import RANKS, with_ranks
from mlxp.run_directory.status import Status
from mlxp_reader.records.file_states import NO_FILE, FileState
from mlxp_reader.records.run_files import FileProblem, RunFiles

_RUN = RunDirectory(Path())
_INFO = _RUN.info_file.as_posix()
_CONFIG = _RUN.config_file.as_posix()
_SUBMISSION = _RUN.submission_file.as_posix()
_METADATA = _RUN.metadata.as_posix()
_METRICS = _RUN.metrics.as_posix()
_METRICS_KEYS = _RUN.metrics_keys_file.parent.as_posix()
_ARTIFACTS_KEYS = _RUN.artifacts_keys_file.as_posix()

_NO_LOGS = ("config", "info", "artifact", "mlxp")  # what columns of other kinds start with
_MOST_KEYS = 2**15  # in a configuration; each key is a column
_LONGEST_SECTION = 2**12  # characters; the name of each key in a section holds that of the section
_RACY = 2.0  # seconds; a file changed again within one tick of the file system's clock keeps its stamp
_CHANGED = itemgetter(FileState._fields.index("changed_ns"))
_YOUNG = 60.0  # seconds that a run may take to write its first files

GLANCED_AT = (_INFO, _METADATA, _METRICS)
"""What shows most changes of a run that has ended: going on rewrites its info, and folders tell which files are new."""


@dataclass(slots=True)
class Record:
    """What is known about one run without loading its metrics and artifacts.

    Attributes
    ----------
    values
        The configuration and the info, flattened: ``{'config.optimizer.lr': 0.1, 'info.status': 'COMPLETE'}``.
    metrics
        The keys of each metrics file, by log name.
    artifacts
        The names of the artifacts, by type and folder.
    states
        The files that show whether the record is still right, each with its state from before it was read.
    changed_ns
        When any of these files was changed last.
    settled
        Whether unchanged `states` prove that the record is still right.
    """

    log_id: int
    values: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, list[str]] = field(default_factory=dict)
    artifacts: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    states: dict[str, FileState] = field(default_factory=dict)
    changed_ns: int = -1
    settled: bool = False
    problems: list[FileProblem] = field(default_factory=list)

    def checksum(self) -> int:
        """Return a number in which any change of what is known shows."""
        text = repr((self.values, self.metrics, self.artifacts, self.problems))
        return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def crawl(path: str | os.PathLike[str]) -> Record:
    """Return the record of the run whose directory is `path`.

    Examples
    --------
    >>> crawl("tests/data/mlxp-1.0.5-logs/logs/1").values["config.optimizer.lr"]
    10.0
    """
    files = RunFiles(os.fspath(path))
    record = Record(int(os.path.basename(files.path)))  # noqa: PTH119 - a pathlib.Path costs more than the reading
    started = time.time()
    # The state of each file from before it is read, so that a change in the meantime is noticed next time.
    for folder in (_METADATA, _METRICS, _METRICS_KEYS):
        files.look_at(folder)
    _read_info(files, record)
    _read_config(files, record)
    _read_metric_keys(files, record)
    _read_artifact_names(files, record)
    status = Status.of(record.values.get("info.status"))
    is_final = status is not None and status.is_final
    for file in map(metrics_file, record.metrics):
        if files.look_at(file) is NO_FILE and is_final:
            files.report(file, "there is no such file, though its keys are listed")
    record.problems = files.problems
    record.states = files.states
    record.changed_ns = max(map(_CHANGED, files.states.values()))
    is_old = record.changed_ns < (started - _RACY) * 1e9
    record.settled = is_final and is_old and not record.problems
    return record


def metrics_file(log_name: str) -> str:
    """Return the path of a metrics file in the directory of a run."""
    return f"{_METRICS}/{log_name}.json"


def _checked(files: RunFiles, name: str, kinds: Kinds) -> dict[Any, Any] | None:
    """Return what one of MLXP's own files says, without the values that cannot be right.

    A status is always kept as it is, since otherwise the run could not be found by it.
    """
    content = files.mapping(name)
    if content is None:
        return None
    good, problems = checked(content, kinds)
    for problem in problems:
        files.report(name, problem)
    if "status" in content:
        good["status"] = content["status"]
    return good


def _read_info(files: RunFiles, record: Record) -> None:
    info = _checked(files, _INFO, INFO)
    if info is not None and RANKS in info:
        info = with_ranks(info, f"{files.path}/metadata")
    submission = _checked(files, _SUBMISSION, SUBMISSION)
    if submission:
        info = {**(info or {}), **_known_of_job(info or {}, submission), "scheduler": submission}
    elif _is_lost(info or {}, files.path):  # the scheduler of a job may know more
        info = {**(info or {}), "status": Status.LOST.value}
    # A directory that was copied or renamed goes by its current name.
    info = {**(info or {}), "logger": {**((info or {}).get("logger") or {}), "log_id": record.log_id}}
    _add_flattened(info, "info", _INFO, record, files)
    if "info.status" not in record.values and not files.problems and not _is_young(files.path):
        files.report(_INFO, "there is no such file, or no status in it")


def _known_of_job(info: Mapping[str, Any], submission: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the submitter and the scheduler have recorded that is more reliable than what the run says."""
    status, reason = outcome(info, submission)
    if status is None and not info:
        status = Status.SUBMITTED
    known: dict[str, Any] = {"status": status.value} if status is not None else {}
    if (batch := batch_of(info, submission)) is not None:
        known["batch"] = batch
    return known | {"exit": {**(info.get("exit") or {}), "reason": reason}} if reason is not None else known


def _is_lost(info: Mapping[str, Any], path: str) -> bool:
    status = Status.of(info.get("status"))
    if status is None or not status.is_under_way:
        return False
    try:
        heard = os.stat(f"{path}/{_INFO}").st_mtime  # noqa: PTH116 - a pathlib.Path costs more than the call
    except OSError:
        return False  # removed in the meantime
    return is_silent(info, heard) and is_gone(info)


def _read_config(files: RunFiles, record: Record) -> None:
    config = files.mapping(_CONFIG)
    if config is not None:
        _add_flattened(config, "config", _CONFIG, record, files)
    elif files.states[_CONFIG] is NO_FILE and not _is_waiting_or_young(files, record):
        files.report(_CONFIG, "there is no such file")


def _is_waiting_or_young(files: RunFiles, record: Record) -> bool:
    return record.values.get("info.status") == Status.SUBMITTED or _is_young(files.path)


def _is_young(path: str) -> bool:
    """Tell whether the run may just be about to write its first files."""
    try:
        return time.time() - os.stat(path).st_mtime < _YOUNG  # noqa: PTH116 - a pathlib.Path costs more than the call
    except OSError:
        return True  # removed in the meantime


def _add_flattened(mapping: Mapping[Any, Any], prefix: str, file: str, record: Record, files: RunFiles) -> None:
    values: dict[str, Any] = {}
    twice: list[str] = []
    try:
        _flatten(mapping, prefix, values, twice)
    except _TooMuchError as error:
        files.report(file, f"holds {error}")
        return
    for name in twice:
        files.report(file, f"several keys are called {name}; the last one counts")
    record.values |= values


class _TooMuchError(Exception):
    """There is more than can be intended."""


def _flatten(mapping: Mapping[Any, Any], prefix: str, values: dict[str, Any], twice: list[str]) -> None:
    for key, value in mapping.items():
        name = f"{prefix}.{key}"
        if type(value) is dict and value:
            if len(name) > _LONGEST_SECTION:
                raise _TooMuchError(f"a section whose name is longer than {_LONGEST_SECTION} characters")
            _flatten(value, name, values, twice)
            continue
        if len(values) == _MOST_KEYS:
            raise _TooMuchError(f"more than {_MOST_KEYS} keys")
        if name in values:
            twice.append(name)
        values[intern(name)] = value  # one text for all runs that have this key


def _read_metric_keys(files: RunFiles, record: Record) -> None:
    for file in files.names_in(_METRICS_KEYS) if files.states[_METRICS_KEYS] is not NO_FILE else ():
        if not file.endswith(".yaml"):
            continue
        name = f"{_METRICS_KEYS}/{file}"
        of_file = []
        for log, keys in (files.mapping(name) or {}).items():
            if keys == "" or keys is None:  # one file per log of MLXP 1: {loss: '', epoch: ''}
                of_file.append(log)
            elif isinstance(keys, list):  # today's one file: {train: [loss, epoch]}
                _add_metrics(files, record, name, str(log), keys)
            else:
                files.report(name, f"the keys of {log} are no list")
        if of_file:
            _add_metrics(files, record, name, file.removesuffix(".yaml"), of_file)
    if not record.metrics:
        _recover_metric_keys(files, record)


def _add_metrics(files: RunFiles, record: Record, file: str, log_name: str, keys: Collection[Any]) -> None:
    if not all(map(_is_name, keys)):
        files.report(file, f"among the keys of {log_name} are some that are no names")
        keys = [key for key in keys if _is_name(key)]
    names = list(map(str, keys))
    if not all(map(str.isascii, names)) and not all(map(is_writable_text, names)):
        unwritable = [name for name in names if not is_writable_text(name)]
        files.report(ascii(file)[1:-1], f"{unwritable!a} are no names of text")
        names = [name for name in names if is_writable_text(name)]
    if log_name in _NO_LOGS or "/" in log_name or "\0" in log_name or not is_writable_text(log_name):
        files.report(ascii(file)[1:-1], f"no metrics file can be called {log_name!a}")
    else:
        record.metrics.setdefault(log_name, []).extend(names)


_NOT_NAMES = (list, dict, set, tuple)


def _is_name(key: Any) -> bool:
    return type(key) is str or not isinstance(key, _NOT_NAMES)


def _recover_metric_keys(files: RunFiles, record: Record) -> None:
    """Find the keys in the first records, for a run that lost its list of keys."""
    for name in files.names_in(_METRICS):
        if name.endswith(".json"):
            rows = _first_records(f"{files.path}/{_METRICS}/{name}")
            keys = dict.fromkeys(key for row in rows for key in row)
            if keys:
                _add_metrics(files, record, f"{_METRICS}/{name}", name.removesuffix(".json"), keys)


_ENOUGH = 2**16
_LONGEST_LINE = 2**24


def _first_records(file: str) -> Iterator[dict[str, Any]]:
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - a path costs more
            text = opened.read(_ENOUGH)
            if len(text) == _ENOUGH:  # the last line may be cut off; if it is the only one, the rest is read
                text = text[: text.rfind(b"\n") + 1] or text + opened.readline(_LONGEST_LINE)
    except OSError:
        return
    for line in text.split(b"\n"):
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


_NAMES = (list, dict, type(None))  # the current form, that of MLXP 1, and an empty one


def _read_artifact_names(files: RunFiles, record: Record) -> None:
    for artifact_type, folders in (files.mapping(_ARTIFACTS_KEYS) or {}).items():
        if not isinstance(folders, dict) or not all(map(_are_names, folders.values())):
            files.report(_ARTIFACTS_KEYS, f"the type {artifact_type} has no folders of names")
            continue
        names = {_folder(str(key)): [str(name) for name in found or ()] for key, found in folders.items()}
        record.artifacts[str(artifact_type)] = names


def _are_names(found: Any) -> bool:
    return isinstance(found, _NAMES) and all(map(_is_name, found or ()))


def _folder(key: str) -> str:
    """Return the folder that `key` means: now a path, in MLXP 1 a name like ``.plots.final``."""
    return key[1:].replace(".", "/") if key.startswith(".") else key
