"""What ``mlxp`` shows about single runs: everything about one, and the differences among a few."""

import argparse
import itertools
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from mlxp.commands.chain import ancestors, descendants
from mlxp.commands.logs_directory import readable
from mlxp.commands.table_and_plot import opened
from mlxp.commands.terminal import as_json, bold, coloured
from mlxp.errors import LogDirectoryError, MLXPError
from mlxp.jobs.run_state import RunState, run_states
from mlxp.reproduction.code_difference import code_difference
from mlxp.reproduction.exported_run import mapping_at
from mlxp.reproduction.store import size_of
from mlxp.run_directory.files import to_yaml
from mlxp.run_directory.layout import STORE_DIR, RunDirectory
from mlxp.run_directory.printable import printable
from mlxp.run_directory.status import Status
from mlxp_reader import Reader
from mlxp_reader.columns.accessors import MetricAccessor
from mlxp_reader.columns.artifacts import Artifact, ArtifactFolder
from mlxp_reader.columns.cells import is_missing
from mlxp_reader.columns.keys import shown
from mlxp_reader.columns.metric_array import MetricDtype
from mlxp_reader.columns.missing import THERE, exact_values, kind_of

if TYPE_CHECKING:
    from mlxp_reader import DataFrame

_STATISTICS = ("last", "min", "max", "count")
_CODE = ("info.git", "info.version_manager", "info.python", "info.code.state")
_INDENT = "  "
_MOST_METRICS = 1000
"""The largest number of metrics whose statistics are shown to people; --json has all of them."""

_KEEP_STREAMS = "mlxp.logger.log_streams_to_file=true"


def show(options: argparse.Namespace) -> int:
    """Show one run."""
    options.logs = readable(options.logs)
    reader = opened(options.logs)
    runs = _chosen(reader, [options.log_id])
    state = run_states(options.logs.absolute(), [options.log_id])[0]
    directory = RunDirectory(options.logs / str(options.log_id))
    about = {
        **state.to_dict(),
        **{name: state.info.get(name) for name in ("started_at", "ended_at", "duration", "hostname", "python", "git")},
        "command": _command(state),
        "stderr": str(directory.stderr) if directory.stderr.exists() else None,
        "traceback": (state.info.get("exit") or {}).get("traceback"),
        "config": directory.config() or None,
        "metrics": dict(itertools.islice(_metrics(runs), None if options.json else _MOST_METRICS + 1)),
        "artifacts": [_relative(artifact, directory) for artifact in _artifacts(runs)],
        "unreadable": _unreadable(reader, options.log_id),
        "made_from": ancestors(RunDirectory(directory.path.absolute())),
        "used_by": descendants(options.log_id, reader.filter(), reader.log_ids),
        "code": mapping_at(state.info, "code").get("state"),
        "store": size_of(options.logs / STORE_DIR),
    }
    print(as_json(_plain(about, state)) if options.json else "\n".join(_lines(about, state, directory)))
    return 0


def _plain(about: dict[str, Any], state: RunState) -> dict[str, Any]:
    chain = {name: [link.to_dict() for link in about[name]] for name in ("made_from", "used_by")}
    return {**about, **chain, "store": asdict(about["store"]), "info": state.info}


def _chosen(reader: Reader, log_ids: Sequence[int]) -> "DataFrame":
    """Return some runs as a frame, in the order of `log_ids`."""
    rows = {log_id: row for row, log_id in enumerate(reader.log_ids)}
    if unknown := [str(log_id) for log_id in log_ids if log_id not in rows]:
        raise LogDirectoryError(f"there is no run {' and no run '.join(unknown)} in {reader.src_dir}")
    return reader.filter().take([rows[log_id] for log_id in log_ids]).reset_index(drop=True)


def _command(state: RunState) -> str | None:
    info = state.info
    if not info.get("current_file_path"):
        return state.submission.content.get("run") if state.submission else None
    program = [Path(str(info.get("executable") or "python")).name, str(info["current_file_path"])]
    return shlex.join([*program, *map(str, info.get("overrides") or ())])


def _metric_names(runs: "DataFrame") -> list[str]:
    return [str(name) for name, dtype in runs.dtypes.items() if isinstance(dtype, MetricDtype)]


def _metrics(runs: "DataFrame") -> Iterator[tuple[str, dict[str, Any]]]:
    for name in _metric_names(runs):
        metric = runs[name]
        if metric.isna().all():  # another run's
            continue
        asked = {one: exact_values(MetricAccessor(metric).statistic(one))[0] for one in _STATISTICS}
        if not is_missing(asked["count"]):
            yield name, asked


def _artifacts(runs: "DataFrame") -> Iterator[Artifact]:
    for name in runs.columns:
        if str(name).startswith("artifact.") and isinstance(folder := runs[name].iloc[0], ArtifactFolder):
            yield from folder.values()


def _unreadable(reader: Reader, log_id: int) -> list[str]:
    problems = reader.problems
    rows = problems[problems["log_id"] == log_id].itertuples(index=False)
    return [f"{row.file}{'' if is_missing(row.line) else f', line {row.line}'}: {row.error}" for row in rows]


def _relative(artifact: Artifact, directory: RunDirectory) -> str:
    return artifact.path.relative_to(directory.path.absolute()).as_posix()


def _lines(about: dict[str, Any], state: RunState, directory: RunDirectory) -> Iterator[str]:
    yield f"run {directory.log_id}  {coloured(state.status)}  {directory.path}"
    waits_for = state.reason if state.status.is_open else ""
    yield from _table([(name, text) for name, text in [*_facts(about, state.info), ("note", waits_for)] if text])
    yield from _problem(about, state, directory)
    yield from _section("made from", [line for link in about["made_from"] for line in link.lines()])
    yield from _section("used by", [line for link in about["used_by"] for line in link.lines()])
    yield from _section("configuration", to_yaml(about["config"]).splitlines() if about["config"] else [])
    rows = [(name, *map(shown, values.values())) for name, values in about["metrics"].items()]
    lines = list(_table([("", *_STATISTICS), *rows[:_MOST_METRICS]])) if rows else []
    more = [f"and more metrics; --json shows those after the first {_MOST_METRICS}"] if rows[_MOST_METRICS:] else []
    yield from _section("metrics", [*lines, *more])
    yield from _section("artifacts", about["artifacts"])
    yield from _section("could not be read", about["unreadable"])


def _facts(about: dict[str, Any], info: dict[str, Any]) -> Iterator[tuple[str, str]]:
    took = about["duration"]
    yield "started", about["started_at"] or f"{info.get('start_date', '')} {info.get('start_time', '')}".strip()
    yield "ended", about["ended_at"] or f"{info.get('end_date', '')} {info.get('end_time', '')}".strip()
    yield "took", "" if took is None else f"{took:.1f} s"
    yield "host", about["hostname"] or ""
    yield "job", f"{about['scheduler']} {about['scheduler_job_id'] or ''}".strip() if about["scheduler"] else ""
    yield "command", about["command"] or ""
    yield "directory", str(info.get("work_dir") or "")
    git = about["git"] or {}
    yield "commit", f"{git.get('commit')}{', with changes' * bool(git.get('dirty'))}" if git else ""
    yield "code", f"state {about['code'][:12]}" if about["code"] else ""
    yield "store", str(about["store"]) if about["store"].states else ""
    yield "python", str(about["python"] or "")


def _problem(about: dict[str, Any], state: RunState, directory: RunDirectory) -> Iterator[str]:
    if state.status is Status.COMPLETE or state.status.is_open:
        return
    told = about["traceback"] or state.reason or "the run did not record why"
    lines = told.splitlines()
    if about["stderr"]:
        lines.append(f"see {about['stderr']}")
    elif state.says is not None:  # it has started, so that it could have written there
        lines.append(f"there is no {directory.stderr}: {_KEEP_STREAMS} writes it")
    yield from _section("problem", lines)


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ("", bold(title), *(_INDENT + printable(line) for line in lines))


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows of texts with their columns aligned."""
    rows = [[printable(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def diff(options: argparse.Namespace) -> int:
    """Show the differences among runs."""
    log_ids = list(dict.fromkeys([options.log_id, *options.others]))
    if len(log_ids) < 2:
        raise MLXPError(f"run {options.log_id} is compared with itself; name two different runs")
    options.logs = readable(options.logs)
    runs = _chosen(opened(options.logs), log_ids)
    differing = {name: values for name, values in _compared(runs) if _differ(values)}
    code = _code_of(options, log_ids) if options.code else {}
    if options.json:
        by_name: dict[str, Any] = {name: _by_run(log_ids, values) for name, values in differing.items()}
        print(as_json({**by_name, **({"code": code} if options.code else {})}))
        return 0
    if differing:
        heads = ("", *(f"run {log_id}" for log_id in log_ids))
        print("\n".join(_table([heads, *((name, *_texts(values)) for name, values in differing.items())])))
    else:
        print(f"runs {', '.join(map(str, log_ids))} do not differ in configuration, code, packages and last metrics")
    for other, text in code.items():
        print(f"\n{bold(f'code of run {log_ids[0]} and run {other}')}")
        print(printable(text).rstrip("\n") or "the same")
    return 0


def _code_of(options: argparse.Namespace, log_ids: Sequence[int]) -> dict[int, str]:
    """Return what differs in the code of each run from that of the first."""
    first, *others = (RunDirectory(options.logs / str(log_id)) for log_id in log_ids)
    return {other.log_id: code_difference(first, other) for other in others}


def _compared(runs: "DataFrame") -> Iterator[tuple[str, list[Any]]]:
    """Yield each thing that is compared: its name and each run's value."""
    for name in map(str, runs.columns):
        if name.startswith(("config.", *_CODE)) or name == "info.status":
            yield name, exact_values(runs[name])
    packages = [_packages(value) for value in runs.get("info.packages", [])]
    for package in sorted(set().union(*packages)):
        yield f"package {package}", [versions.get(package, pd.NA) for versions in packages]
    for name in _metric_names(runs):
        yield f"{name}.last", exact_values(MetricAccessor(runs[name]).statistic("last"))


def _packages(value: Any) -> dict[str, str]:
    lines = value if isinstance(value, list) else []
    return {name: version for name, _, version in (str(line).partition("==") for line in lines)}


def _differ(values: Sequence[Any]) -> bool:
    first, kind = values[0], kind_of(values[0])
    return any(kind_of(value) != kind or (kind == THERE and value != first) for value in values[1:])


def _texts(values: Sequence[Any]) -> list[str]:
    """Return values as short texts that differ where the values do."""
    texts = list(map(shown, values))
    return texts if len(set(texts)) > 1 else [repr(value) for value in values]


def _by_run(log_ids: Sequence[int], values: Sequence[Any]) -> dict[int, Any]:
    return dict(zip(log_ids, values, strict=True))
