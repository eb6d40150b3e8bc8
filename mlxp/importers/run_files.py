"""Writes a run of another tool as an ordinary run directory."""

import errno
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from mlxp.errors import InvalidKeyError
from mlxp.importers.foreign_run import ForeignRun
from mlxp.importers.records import Record
from mlxp.run_directory.files import write_yaml
from mlxp.run_directory.layout import LAYOUT_VERSION, RunDirectory
from mlxp.run_directory.status import Status
from mlxp.running.artifact_files import checked_artifact_name
from mlxp.running.keys_file import KeysFile
from mlxp.running.metrics_file import encoded
from mlxp.running.secrets import masked, without_secrets
from mlxp.running.storable import storable
from mlxp.version import __version__

_TYPES: Final = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"), "image"),
    **dict.fromkeys((".npy", ".npz"), "numpy"),
    **dict.fromkeys((".pt", ".pth", ".ckpt"), "torch"),
    **dict.fromkeys((".pkl", ".pickle"), "pickle"),
}
"""The artifact types of files, by suffix."""

_FILE: Final = "file"
"""The type of all other files: they are loaded as their path."""

_OF_THE_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
_FILE_FUNCTIONS: Final = {"save": "shutil:copyfile", "load": "pathlib:Path", "path": None}


def write_run(run: ForeignRun, at: Path, facts: Mapping[str, Any]) -> None:
    """Write a run into the directory `at`, which is created; `facts` go into its info.yaml."""
    directory = RunDirectory(at)
    for folder in (directory.metadata, directory.metrics, directory.artifacts):
        folder.mkdir(parents=True)
    write_yaml(directory.config_file, without_secrets(_encodable(run.config)))
    _write_metrics(run, directory)
    _write_artifacts(run, directory)
    if run.stdout is not None:
        text = run.stdout.read_text(encoding="utf-8", errors="backslashreplace")
        directory.stdout.write_text(masked(text), encoding="utf-8")
    write_yaml(directory.info_file, without_secrets(storable({**_info(run), **facts})))


def _info(run: ForeignRun) -> dict[str, Any]:
    """Return what is said of every run; what a tool does not record is null."""
    known = {} if run.status in {None, Status.COMPLETE} else {"reason": None}
    duration = None if run.started_at is None or run.ended_at is None else run.ended_at - run.started_at
    return {
        "status": str(run.status or Status.LOST),
        **_times("start", run.started_at),
        **_times("end", run.ended_at),
        "duration": round(duration, 3) if duration is not None and duration >= 0 else None,
        "mlxp_version": __version__,
        "layout": LAYOUT_VERSION,
        "attempt": 1,
        "command": None,
        "overrides": [],
        "rerun_of": None,
        "exit": known or None,
        "git": None,
        "code": None,
        "environment": None,
        **run.info,
    }


def _times(which: str, seconds: float | None) -> dict[str, Any]:
    try:
        time = None if seconds is None else datetime.fromtimestamp(seconds).astimezone()
    except (ValueError, OverflowError, OSError):
        time = None
    return {
        f"{which}_date": f"{time:%d/%m/%Y}" if time else "",
        f"{which}_time": f"{time:%H:%M:%S}" if time else "",
        f"{which}ed_at": time.isoformat(timespec="milliseconds") if time else None,
    }


def _encodable(value: Any) -> Any:
    """Return nested dicts and lists with nothing in them that a YAML file cannot hold."""
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_encodable(item) for item in value]
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


# --- metrics ---------------------------------------------------------------------------------------------------------


def _write_metrics(run: ForeignRun, directory: RunDirectory) -> None:
    keys = KeysFile(directory.metrics_keys_file)
    for name, records in run.records.by_log().items():
        lines = [encoded(record.values) for record in records]
        directory.metrics_file(name).write_bytes(b"".join(lines))
        keys.add((name,), list(dict.fromkeys(key for record in records for key in record.values)))
        noted = _noted_times(records, lines, run.started_at)
        if noted:
            directory.record_times.mkdir(exist_ok=True)
            directory.record_times_file(name).write_text(noted, encoding="ascii")


def _noted_times(records: list[Record], lines: list[bytes], started_at: float | None) -> str:
    """Return the lines that tell when each record was logged; none if that is not known of all of them."""
    times = [record.time for record in records]
    if any(time is None or time < 0 for time in times):
        return ""
    known = [time for time in times if time is not None]
    start = min(known[0], started_at if started_at is not None else known[0])
    noted, size = [f"0 {max(start, 0):.3f}\n"], 0
    for time, line in zip(known, lines, strict=True):
        size += len(line)
        noted.append(f"{size} {time:.3f}\n")
    return "".join(noted)


# --- artifacts -------------------------------------------------------------------------------------------------------


def _write_artifacts(run: ForeignRun, directory: RunDirectory) -> None:
    listed: dict[tuple[str, str], list[str]] = {}
    for name, content in run.artifacts.items():
        try:
            path = checked_artifact_name(name)
        except InvalidKeyError:
            run.left_out.add("files whose names artifacts cannot have")
            continue
        kind = _TYPES.get(path.suffix.lower(), _FILE)
        if not _is_copied(content, directory.artifact(kind, str(path))):
            run.left_out.add("files that cannot be read, or whose names are too long or those of folders")
            continue
        folder = "" if str(path.parent) == "." else str(path.parent)
        listed.setdefault((kind, folder), []).append(path.name)
    names = KeysFile(directory.artifacts_keys_file)
    for place, found in listed.items():
        names.add(place, found)
    if any(kind == _FILE for kind, _ in listed):
        write_yaml(directory.artifact_types_file, {_FILE: _FILE_FUNCTIONS})


def _is_copied(content: Path | bytes, target: Path) -> bool:
    """Write the file of an artifact; return whether that was possible. A full disk is no matter of one file."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            shutil.copy2(content, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in _OF_THE_DISK:
            raise
        return False
    return True
