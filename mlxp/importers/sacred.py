"""Reads what Sacred's FileStorageObserver writes: folders with run.json, config.json, metrics.json and cout.txt."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mlxp.importers.foreign_run import ForeignRun, Format, Identity, UnreadableRunError, seconds
from mlxp.importers.reading import files_in, folders_below, json_at, take_files
from mlxp.run_directory.status import Status

_STATUS: Final = {
    "COMPLETED": Status.COMPLETE,
    "FAILED": Status.FAILED,
    "INTERRUPTED": Status.KILLED,
    "TIMED_OUT": Status.KILLED,
}
_READ: Final = frozenset({"run.json", "config.json", "metrics.json", "cout.txt", "info.json"})


def _folders(source: Path) -> Iterator[Path]:
    yield from folders_below(source, lambda _, names: {"run.json", "config.json"} <= names)


def _identity(folder: Path) -> Identity:
    content = json_at(folder / "run.json")
    experiment, host, start = content.get("experiment"), content.get("host"), content.get("start_time")
    if not isinstance(experiment, dict):
        raise UnreadableRunError(f"{folder / 'run.json'} is damaged: it has no experiment")
    hostname = host.get("hostname") if isinstance(host, dict) else None
    # The number of its folder distinguishes a run from others only in one place.
    told = [experiment.get("name"), experiment.get("base_dir"), hostname, start, folder.resolve().name]
    return Identity(f"Sacred {told!r}", seconds(start) or 0.0)


def _read(folder: Path) -> ForeignRun:
    content, info = json_at(folder / "run.json"), json_at(folder / "info.json")
    status = content.get("status")
    run = ForeignRun(
        config=json_at(folder / "config.json"),
        status=_STATUS.get(status) if isinstance(status, str) else None,
        started_at=seconds(content.get("start_time")),
        ended_at=seconds(content.get("stop_time")),
        told={
            "experiment": content["experiment"].get("name"),
            "command": content.get("command"),
            "status": status,
            "result": content.get("result"),
            "info": info,
        },
        stdout=output if (output := folder / "cout.txt").is_file() else None,
    )
    take_files(run, folder, _READ)
    _read_run(content, run)
    _read_metrics(json_at(folder / "metrics.json"), folder, run)
    if content["experiment"].get("sources") or content.get("resources"):
        run.left_out.add("copies of sources and resources (_sources, _resources)")
    return run


def _read_run(content: dict[str, Any], run: ForeignRun) -> None:
    host = content.get("host")
    if isinstance(host, dict):
        for name, key in (("hostname", "hostname"), ("python", "python_version")):
            if isinstance(host.get(key), str):
                run.info[name] = host[key]
    trace = content.get("fail_trace")
    if isinstance(trace, list) and trace:
        lines = "".join(map(str, trace)).rstrip("\n")
        run.info["exit"] = {"reason": lines.rpartition("\n")[2], "code": 1, "traceback": lines}


def _read_metrics(content: dict[str, Any], folder: Path, run: ForeignRun) -> None:
    values: list[tuple[float | None, str, Any, Any]] = []
    for name, columns in content.items():
        try:
            found = zip(columns["timestamps"], columns["values"], columns["steps"], strict=True)
            values += [(seconds(time), name, _number(value), step) for time, value, step in found]
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableRunError(f"{folder / 'metrics.json'} is damaged at the metric {name}") from error
    if all(time is not None for time, *_ in values):
        values.sort(key=lambda line: line[0] or 0.0)
    for time, name, value, step in values:
        run.records.add(name, value, step if isinstance(step, int) else None, time)


def _number(value: Any) -> Any:
    """Return a number that Sacred has written with its type."""
    return value["value"] if isinstance(value, dict) and "value" in value else value


FORMAT: Final = Format(
    "Sacred", "sacred", "a folder of Sacred's FileStorageObserver", _folders, _identity, _read, files_in
)
